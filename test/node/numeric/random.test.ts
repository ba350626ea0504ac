import { expect, test } from "vitest";
import { createRandom, normalArray, uniformAt } from "../../../src/numeric/random.ts";

const DRAWS = 20_000;

function draw(next: () => number, count = DRAWS): number[] {
  return Array.from({ length: count }, next);
}

function mean(values: ArrayLike<number>, of: (value: number) => number): number {
  return Array.from(values, of).reduce((sum, value) => sum + value, 0) / values.length;
}

test("gives the same numbers for the same seed and others for another", () => {
  const first = draw(createRandom(7).uint32, 8);

  expect(draw(createRandom(7).uint32, 8)).toEqual(first);
  expect(draw(createRandom(8).uint32, 8)).not.toEqual(first);
});

test("keeps its numbers from version to version", () => {
  expect(draw(createRandom(0).uint32, 4)).toEqual([
    1_042_467_279, 43_268_146, 720_511_638, 3_216_311_226,
  ]);
});

test("spreads uniform numbers evenly over [0, 1)", () => {
  const values = draw(createRandom(1).uniform);
  const tenths = new Set(values.map((value) => Math.floor(10 * value)));

  expect(tenths).toEqual(new Set(Array.from({ length: 10 }, (_, tenth) => tenth)));
  expect(mean(values, (value) => value)).toBeCloseTo(1 / 2, 1);
  expect(mean(values, (value) => value ** 2)).toBeCloseTo(1 / 3, 1);
});

test("draws every whole number below the count and none other", () => {
  const random = createRandom(2);

  expect(new Set(draw(() => random.integer(5)))).toEqual(new Set([0, 1, 2, 3, 4]));
});

test("draws normal numbers with the moments of the distribution", () => {
  const values = normalArray(createRandom(3), DRAWS, 2).map((value) => value / 2);

  // Four standard errors of each moment.
  const error = 4 / Math.sqrt(DRAWS);
  expect(Math.abs(mean(values, (value) => value))).toBeLessThan(error);
  expect(Math.abs(mean(values, (value) => value ** 2) - 1)).toBeLessThan(error * Math.sqrt(2));
  expect(Math.abs(mean(values, (value) => value ** 4) - 3)).toBeLessThan(error * Math.sqrt(96));
});

test("gives each seed and index a number of its own, evenly over [0, 1)", () => {
  for (const at of [(i: number) => uniformAt(3, i), (i: number) => uniformAt(i, 3)]) {
    const values = Array.from({ length: DRAWS }, (_, index) => at(index));
    const counts = new Array<number>(100).fill(0);
    for (const value of values) counts[Math.floor(100 * value)]!++;
    const expected = DRAWS / 100;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    const steps = values.slice(1).map((value, index) => (value - 0.5) * (values[index]! - 0.5));

    // 99 degrees of freedom: exceeded by chance once in a thousand.
    expect(chiSquare).toBeLessThan(148.2);
    // Neighbours know nothing of each other: four standard errors.
    expect(Math.abs(mean(steps, (step) => step))).toBeLessThan(4 / 12 / Math.sqrt(DRAWS));
  }
});

test("seeds of more than 32 bits differ in their numbers", () => {
  expect(uniformAt(5, 1)).not.toBe(uniformAt(2 ** 32 + 5, 1));
  expect(uniformAt(2 ** 53 - 1, 1)).toBeLessThan(1);
});
