import { expect, test } from "vitest";
import { formatBytes, formatCount, formatTable } from "../../../src/cli/units.ts";

test("bytes have three digits and a unit", () => {
  const texts = [0, 999, 1000, 123_456, 999_999_999, 4.56e12, 1e15].map(formatBytes);

  expect(texts).toEqual(["0 B", "999 B", "1.00 kB", "123 kB", "1.00 GB", "4.56 TB", "1000 TB"]);
});

test("counts are in millions and billions", () => {
  expect([320, 3_712_000, 4.3e9].map(formatCount)).toEqual(["320", "3.71 million", "4.30 billion"]);
});

test("columns line up, numbers to the right", () => {
  const table = formatTable([
    ["name", "count"],
    ["a", 12],
    ["long", 5],
  ]);

  expect(table).toBe("name  count\na        12\nlong      5");
});
