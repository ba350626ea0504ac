import { describe, expect, test } from "vitest";
import { bytesAt, leastPercent, reportFill, slotsAt } from "../../../demo/chat/budget.ts";
import { minBudgetBytes, parseBudget, planSlots } from "../../../src/scheduler/budget.ts";

const NEEDS = {
  residentBytes: 2_100_000,
  recordBytes: [16_000, 16_000, 20_000],
  experts: 32,
  topK: 4,
};
const INFO = {
  experts: 32,
  topK: 4,
  minGpuBudgetBytes: minBudgetBytes(NEEDS),
  fullGpuBudgetBytes: 2_100_000 + 32 * 52_000,
};
const DENSE = { experts: 0, topK: 0, minGpuBudgetBytes: 500, fullGpuBudgetBytes: 500 };

describe("the memory slider", () => {
  test("ends at the smallest percentage that the engine takes", () => {
    const least = leastPercent(INFO);
    const plan = (percent: number) =>
      planSlots({ ...NEEDS, budget: parseBudget(`${percent}%`) }).slotCounts;

    expect(least).toBe(13);
    expect(plan(least)).toEqual([4, 4, 4]);
    expect(() => plan(least - 1)).toThrow("at least 13 %");
  });

  test("shows the bytes that the engine will take, at every percentage", () => {
    for (let percent = leastPercent(INFO); percent <= 100; percent++) {
      const plan = planSlots({ ...NEEDS, budget: parseBudget(`${percent}%`) });

      expect(slotsAt(INFO, percent), `${percent} %`).toBe(plan.slotCounts[0]);
      expect(bytesAt(INFO, percent), `${percent} %`).toBeCloseTo(plan.gpuBytes, 3);
    }
  });

  test("has one place for a dense model, and for one that uses every expert", () => {
    expect(leastPercent(DENSE)).toBe(100);
    expect(bytesAt(DENSE, 100)).toBe(500);
    expect(bytesAt({ ...INFO, topK: 32 }, 100)).toBe(INFO.fullGpuBudgetBytes);
  });
});

describe("the filling with experts", () => {
  test("counts experts up to those that have room", () => {
    const fill = reportFill(INFO, 50, { resident: 24, totalExperts: 96 });

    expect(fill.loaded).toBe(24);
    expect(fill.total).toBe(48);
    expect(fill.totalBytes).toBeCloseTo(16 * 52_000, 3);
    expect(fill.loadedBytes).toBeCloseTo(fill.totalBytes / 2, 3);
  });

  test("is never more than whole", () => {
    expect(reportFill(INFO, 50, { resident: 60, totalExperts: 96 }).loaded).toBe(48);
  });

  test("of a dense model is nothing", () => {
    const nothing = { loaded: 0, total: 0, loadedBytes: 0, totalBytes: 0 };

    expect(reportFill(DENSE, 100, { resident: 0, totalExperts: 0 })).toEqual(nothing);
  });
});
