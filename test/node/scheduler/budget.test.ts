import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SluiceError } from "../../../src/errors.ts";
import {
  fullBudgetBytes,
  minBudgetBytes,
  parseBudget,
  planSlots,
} from "../../../src/scheduler/budget.ts";
import { runs } from "../../helpers/random-cases.ts";

/** The error that `call` throws. */
function errorOf(call: () => unknown): SluiceError {
  try {
    call();
  } catch (error) {
    if (error instanceof SluiceError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("parseBudget", () => {
  test.for([
    [1_000_000, 1_000_000, "B"],
    [1.9, 1, "B"],
    ["2GB", 2_000_000_000, "GB"],
    ["512MiB", 536_870_912, "MiB"],
    ["1.5 gb", 1_500_000_000, "GB"],
    [" 0.123GB ", 123_000_000, "GB"],
    [".5GiB", 536_870_912, "GiB"],
    ["64kb", 64_000, "KB"],
    ["700 B", 700, "B"],
    ["0MB", 0, "MB"],
  ] as const)("reads %s", ([budget, bytes, unit]) => {
    expect(parseBudget(budget)).toEqual({ kind: "bytes", bytes, unit });
  });

  test.for([
    ["50%", 0.5],
    ["12.5 %", 0.125],
    ["100%", 1],
    ["0%", 0],
  ] as const)("reads %s as a share", ([budget, share]) => {
    expect(parseBudget(budget)).toEqual({ kind: "share", share });
  });

  test.for([
    ["", "is not a budget"],
    ["2", '"2" is not a budget'],
    ["GB", '"GB" is not a budget'],
    ["2 gigabytes", "is not a budget"],
    ["-1GB", "is not a budget"],
    ["1e3MB", "is not a budget"],
    ["5ib", "is not a budget"],
    ["1,5GB", "is not a budget"],
    ["99999999TB", "is not a budget"],
    ["101%", "101 % is more than all experts"],
    [-1, "-1 is not a budget"],
    [Number.NaN, "NaN is not a budget"],
    [Infinity, "Infinity is not a budget"],
  ] as const)("refuses %s", ([budget, reason]) => {
    const error = errorOf(() => parseBudget(budget));

    expect(error.code).toBe("bad-input");
    expect(error.message).toContain(reason);
  });

  test("says what a budget looks like", () => {
    expect(errorOf(() => parseBudget("lots")).message).toBe(
      '"lots" is not a budget: give bytes as a number, or a text such as "512MB", "2GiB" or "50%".',
    );
  });
});

describe("planSlots", () => {
  const small = { residentBytes: 1000, recordBytes: [10, 10, 10], experts: 8, topK: 2 };

  test("a share is a share of every pool's experts, rounded down", () => {
    const plan = (text: string) => planSlots({ ...small, budget: parseBudget(text) });

    expect(plan("50%")).toEqual({ slotCounts: [4, 4, 4], gpuBytes: 1120 });
    expect(plan("74%")).toEqual({ slotCounts: [5, 5, 5], gpuBytes: 1150 });
    expect(plan("100%")).toEqual({ slotCounts: [8, 8, 8], gpuBytes: 1240 });
  });

  test("29 % of 100 experts are 29, whatever floating point makes of it", () => {
    const { slotCounts } = planSlots({ ...small, experts: 100, budget: parseBudget("29%") });

    expect(slotCounts).toEqual([29, 29, 29]);
  });

  test("bytes are for everything, and the rest goes to the first pools", () => {
    const plan = (budget: number) => planSlots({ ...small, budget: parseBudget(budget) });

    expect(plan(1060)).toEqual({ slotCounts: [2, 2, 2], gpuBytes: 1060 });
    expect(plan(1069)).toEqual({ slotCounts: [2, 2, 2], gpuBytes: 1060 });
    expect(plan(1089)).toEqual({ slotCounts: [3, 3, 2], gpuBytes: 1080 });
    expect(plan(9_999_999)).toEqual({ slotCounts: [8, 8, 8], gpuBytes: 1240 });
  });

  test("what is left over goes to the first pools in which it is enough for a slot", () => {
    const mixed = { ...small, recordBytes: [30, 10, 20] };

    expect(planSlots({ ...mixed, budget: parseBudget(1135) })).toEqual({
      slotCounts: [2, 3, 2],
      gpuBytes: 1130,
    });
  });

  test("a share that is too small is told the share that works", () => {
    const needs = { residentBytes: 0, recordBytes: [10], experts: 32, topK: 4 };
    const error = errorOf(() => planSlots({ ...needs, budget: parseBudget("10%") }));

    expect(error.code).toBe("budget-too-small");
    expect(error.message).toBe(
      "A budget of 10 % keeps 3 of 32 experts in a layer, but a token uses 4: " +
        "give at least 13 % (4 of 32 experts in a layer).",
    );
  });

  test("bytes that are too few are told how many work, in the unit that was used", () => {
    const needs = { ...small, residentBytes: 1_234_567 };
    const message = (budget: number | string) =>
      errorOf(() => planSlots({ ...needs, budget: parseBudget(budget) })).message;

    expect(message(1_234_626)).toBe(
      "A budget of 1234626 bytes is too small: this model takes 1234567 bytes and 2 expert slots in " +
        "each layer. Give at least 1234627 bytes.",
    );
    expect(message("1MB")).toContain("Give at least 1.235 MB.");
    expect(message("1MiB")).toContain("Give at least 1.178 MiB.");
  });

  test("a model without experts needs only what is always there", () => {
    const dense = { residentBytes: 500, recordBytes: [], experts: 0, topK: 0 };

    expect(planSlots({ ...dense, budget: parseBudget("10%") })).toEqual({
      slotCounts: [],
      gpuBytes: 500,
    });
    expect(planSlots({ ...dense, budget: parseBudget(500) }).gpuBytes).toBe(500);
    expect(() => planSlots({ ...dense, budget: parseBudget(499) })).toThrow("Give at least 500");
  });

  const needs = fc
    .record({
      residentBytes: fc.nat(5_000_000_000),
      recordBytes: fc.array(fc.integer({ min: 1, max: 30_000_000 }), {
        minLength: 1,
        maxLength: 6,
      }),
      experts: fc.integer({ min: 1, max: 256 }),
    })
    .chain((shape) =>
      fc
        .record({
          topK: fc.integer({ min: 1, max: shape.experts }),
          spare: fc.double({ min: 0, max: 1.2, noNaN: true }),
        })
        .map((more) => ({ ...shape, ...more })),
    );

  test("spends what it may and not more, evenly", () => {
    fc.assert(
      fc.property(needs, ({ spare, ...shape }) => {
        const least = minBudgetBytes(shape);
        const full = fullBudgetBytes(shape);
        const bytes = Math.floor(least + spare * (full - least));

        const { slotCounts, gpuBytes } = planSlots({ ...shape, budget: parseBudget(bytes) });

        const paid = slotCounts.map((slots, pool) => slots * shape.recordBytes[pool]!);
        expect(gpuBytes).toBe(paid.reduce((sum, part) => sum + part, shape.residentBytes));
        expect(gpuBytes).toBeLessThanOrEqual(bytes);
        expect(Math.min(...slotCounts)).toBeGreaterThanOrEqual(shape.topK);
        expect(Math.max(...slotCounts)).toBeLessThanOrEqual(shape.experts);
        expect(Math.max(...slotCounts) - Math.min(...slotCounts)).toBeLessThanOrEqual(1);
        if (bytes >= full) expect(gpuBytes).toBe(full);
        slotCounts.forEach((slots, pool) => {
          if (slots === Math.min(...slotCounts) && slots < shape.experts) {
            expect(gpuBytes + shape.recordBytes[pool]!).toBeGreaterThan(bytes); // nothing left for it
          }
        });
      }),
      { numRuns: runs(200) },
    );
  });

  test("the smallest number of bytes that works is the smallest", () => {
    fc.assert(
      fc.property(needs, (shape) => {
        const least = minBudgetBytes(shape);

        expect(planSlots({ ...shape, budget: parseBudget(least) }).gpuBytes).toBe(least);
        expect(errorOf(() => planSlots({ ...shape, budget: parseBudget(least - 1) })).code).toBe(
          "budget-too-small",
        );
      }),
      { numRuns: runs(100) },
    );
  });

  test("the budget that an error names works", () => {
    const unit = fc.constantFrom("B", "KB", "MB", "GB", "KiB", "MiB", "GiB", "%");
    fc.assert(
      fc.property(needs, unit, (shape, name) => {
        const tooSmall = name === "%" ? "0%" : `0${name}`;
        const { message } = errorOf(() => planSlots({ ...shape, budget: parseBudget(tooSmall) }));
        const named = /at least ([\d.]+) (\w+|%)/.exec(message)!;
        const budget = named[2] === "bytes" ? Number(named[1]) : `${named[1]} ${named[2]}`;

        const { slotCounts } = planSlots({ ...shape, budget: parseBudget(budget) });

        expect(Math.min(...slotCounts)).toBeGreaterThanOrEqual(shape.topK);
      }),
      { numRuns: runs(200) },
    );
  });
});
