import { describe, expect, test } from "vitest";
import { least, median, timeRepeated } from "../../../src/gpu/clock.ts";
import { trimmedMean } from "../../../src/gpu/profile.ts";

describe("a repeated measurement", () => {
  test.for([0.0005, 0.02, 3, 400])("finds %d ms a run behind any number of runs", async (ms) => {
    const asked: number[] = [];

    const found = await timeRepeated(async (runs) => {
      asked.push(runs);
      return ms * runs;
    });

    expect(found).toBeCloseTo(ms, 9);
    expect(Math.max(...asked)).toBeLessThanOrEqual(4096);
    expect(asked.length).toBeLessThan(12);
  });

  test("is not misled by a first run that was held up", async () => {
    let first = true;
    const found = await timeRepeated(async (runs) => {
      const heldUp = first ? 300 : 0;
      first = false;
      return 0.02 * runs + heldUp;
    });

    expect(found).toBeCloseTo(0.02, 9);
  });

  test("gives the least time for a ceiling", async () => {
    let calls = 0;
    const found = await timeRepeated(async (runs) => 20 * runs * (++calls === 4 ? 1 : 2), least);

    expect(found).toBe(20);
  });

  test("ends where work takes no time at all", async () => {
    expect(await timeRepeated(async () => 0)).toBe(0);
  });
});

describe("what stands for many times", () => {
  test("a median is not moved by one slow run", () => {
    expect(median([3, 1, 2, 900, 2])).toBe(2);
  });

  test("a trimmed mean sees between the steps of a coarse clock, and leaves out extremes", () => {
    expect(trimmedMean([0, 0, 100, 100, 0, 100, 0, 100])).toBe(50);
    expect(trimmedMean([10, 10, 10, 5000])).toBe(10);
    expect(trimmedMean([-5])).toBe(0);
  });
});
