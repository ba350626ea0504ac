import { expect, test } from "vitest";
import { ropeAngles, ropeFactors } from "../../../src/engine/rope.ts";

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

test("YaRN keeps fast pairs, scales slow ones, and goes from one to the other by a ramp", () => {
  const yarn = { originalTokens: 4096, extrapolation: 1, betaFast: 32, betaSlow: 1 };
  const plain = { ...rope, dims: 64 };
  const angle = (spec: typeof plain, pair: number) => {
    const table = ropeAngles(spec, 2);
    return Math.atan2(table[2 * (32 + pair) + 1]!, table[2 * (32 + pair)]!);
  };
  const kept = (pair: number) => {
    const own = angle(plain, pair);
    const scaled = { ...plain, scale: 40, yarn };
    return (angle(scaled, pair) / own - 1 / 40) / (1 - 1 / 40);
  };

  // 4096 tokens turn pair 10.47 32 times, and pair 22.51 once: the ramp goes from 10 to 23.
  expect(kept(10)).toBeCloseTo(1, 4);
  expect(kept(11)).toBeCloseTo(12 / 13, 4);
  expect(kept(16)).toBeCloseTo(7 / 13, 4);
  expect(kept(22)).toBeCloseTo(1 / 13, 3);
  expect(kept(23)).toBeCloseTo(0, 3);
});

test("multiplies cosines and sines by the magnitude", () => {
  const plain = ropeAngles(rope, 4);

  expect(ropeAngles({ ...rope, magnitude: 2 }, 4)).toEqual(plain.map((value) => 2 * value));
});

test("takes LongRoPE's long factors beyond the original context", () => {
  const spec = { ...rope, factors: "short", longFactors: { tensor: "long", beyondTokens: 8 } };

  expect([ropeFactors(rope, 9), ropeFactors(spec, 8), ropeFactors(spec, 9)]).toEqual([
    undefined,
    "short",
    "long",
  ]);
});
