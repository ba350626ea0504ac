import { expect, test } from "vitest";
import { f16 } from "../../../src/formats/input/f16.ts";
import type { UnitDevice } from "../../../src/formats/input/format.ts";
import { int8 } from "../../../src/formats/input/int8.ts";
import { accuracyOn, unitOn } from "../../../src/formats/input/registry.ts";

const least: UnitDevice = { packedDot: false, halves: false };

test("a device takes the best unit that it has", () => {
  expect(unitOn(int8, { ...least, packedDot: true })).toBe(int8.units.integers);
  expect(unitOn(int8, least)).toBe(int8.units.numbers);
  expect(unitOn(f16, { ...least, halves: true })).toBe(f16.units.halves);
  expect(unitOn(f16, least)).toBeUndefined();
});

test("products are exact where a device has none", () => {
  expect(accuracyOn("exact", least)).toBe("exact");
  expect(accuracyOn("int8", least)).toBe("int8");
  expect(accuracyOn("f16", { ...least, halves: true })).toBe("f16");
  expect(accuracyOn("f16", { ...least, packedDot: true })).toBe("exact");
});
