import { expect, test } from "vitest";
import { ropeAngles } from "../../../src/engine/rope.ts";

const rope = { dims: 8, base: 10_000, pairing: "half-split" } as const;

test("gives cos and sin of position / base^(2 pair / dims)", () => {
  const table = ropeAngles(rope, 5);

  expect(table).toHaveLength(5 * 4 * 2);
  expect([...table.subarray(0, 4)]).toEqual([1, 0, 1, 0]);
  const at = 2 * (3 * 4 + 1);
  expect(table[at]).toBe(Math.fround(Math.cos(3 / 10)));
  expect(table[at + 1]).toBe(Math.fround(Math.sin(3 / 10)));
});

test("divides frequencies by the linear scale and by the file's factors", () => {
  const scaled = ropeAngles({ ...rope, scale: 4 }, 9);
  const factored = ropeAngles(rope, 9, new Float32Array([4, 4, 4, 4]));

  expect(scaled).toEqual(factored);
  expect(scaled.subarray(8 * 8, 9 * 8)).toEqual(ropeAngles(rope, 3).subarray(2 * 8, 3 * 8));
});
