import { describe, expect, test } from "vitest";
import {
  bytesAt,
  DEFAULT_SHARES,
  describeLower,
  describeUse,
  leastPercent,
  reportFill,
  slotsAt,
  toBudgets,
  toLoadOptions,
} from "../../../demo/chat/budget.ts";
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

describe("what the engine is told of budgets", () => {
  test("is nothing unless someone asked", () => {
    expect(toLoadOptions(DEFAULT_SHARES)).toEqual({});
    expect(toLoadOptions({ gpu: 25, ram: 0, disk: 100 })).toEqual({
      gpuBudget: "25%",
      ramBudget: "0%",
      diskBudget: "100%",
    });
  });

  test("names only the tiers whose share is known", () => {
    expect(toBudgets({ ram: 0 })).toEqual({ ram: "0%" });
    expect(toBudgets({ gpu: 50, ram: undefined, disk: 30 })).toEqual({ gpu: "50%", disk: "30%" });
  });
});

describe("the budgets of RAM and disk", () => {
  /** Texts with ordinary spaces. */
  const plain = (text: string) => text.replaceAll("\u00a0", " ");
  const all = 32 * 52_000;
  const known = {
    shares: DEFAULT_SHARES,
    model: { allExpertBytes: all },
    stats: { ramBudgetBytes: all / 2, diskBudgetBytes: all },
    kind: "url",
  } as const;

  test("stand where the engine put them until someone moves them", () => {
    const automatic = describeLower("ram", known);
    const asked = describeLower("ram", { ...known, shares: { ...DEFAULT_SHARES, ram: 30 } });

    expect(automatic).toMatchObject({ percent: 50, reason: "" });
    expect(plain(automatic.text)).toBe("automatic, 832 kB");
    expect(asked.percent).toBe(30);
    expect(plain(asked.text)).toBe("30 %, 832 kB");
  });

  test("are known without a model, too", () => {
    const before = { ...known, model: undefined, stats: undefined };

    expect(describeLower("ram", before)).toEqual({ percent: 100, text: "automatic", reason: "" });
    expect(describeLower("disk", { ...before, shares: { ...DEFAULT_SHARES, disk: 0 } })).toEqual({
      percent: 0,
      text: "0\u00a0%",
      reason: "",
    });
  });

  test("say why there is nothing to set", () => {
    const none = { ...known, stats: { ramBudgetBytes: 0, diskBudgetBytes: 0 } };

    expect(describeLower("disk", { ...none, kind: "file" }).reason).toContain("nothing is copied");
    expect(describeLower("disk", none).reason).toContain("keeps nothing");
    expect(describeLower("ram", none).reason).toBe("");
    expect(describeLower("ram", { ...known, model: { allExpertBytes: 0 } }).reason).toContain(
      "no experts",
    );
    const zero = { ...none, shares: { ...DEFAULT_SHARES, disk: 0 } };
    expect(describeLower("disk", zero).reason).toBe("");
  });

  test("tell what is used of them", () => {
    expect(plain(describeUse(1e6, 2e6))).toBe("1.00 MB of 2.00 MB");
    expect(plain(describeUse(0, 2e6))).toBe("0 B of 2.00 MB");
    expect(describeUse(0, 0)).toBe("nothing");
  });
});
