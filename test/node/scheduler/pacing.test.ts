import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FAULT_AVERSION } from "../../../src/scheduler/pacing/adaptive.ts";
import { FaultEstimate } from "../../../src/scheduler/pacing/fault-estimate.ts";
import type { PacingContext, PacingRule } from "../../../src/scheduler/pacing/pacing.ts";
import {
  DEFAULT_PACING,
  type PacingName,
  pacingRules,
} from "../../../src/scheduler/pacing/registry.ts";
import { runs } from "../../helpers/random-cases.ts";

const everyRule = Object.entries(pacingRules).map(([name, rule]) => ({
  name: name as PacingName,
  rule: rule as PacingRule,
}));

/** Round values, so that costs are often close and sometimes equal. */
const milliseconds = fc.nat(20).map((fifths) => fifths / 5);
const anyContext: fc.Arbitrary<PacingContext> = fc.record({
  faultProbability: fc.array(
    fc.nat(10).map((tenths) => tenths / 10),
    { maxLength: 8 },
  ),
  costs: fc.record({
    readback: milliseconds,
    turnaround: milliseconds,
    layer: milliseconds,
    skipped: fc.nat(10).map((tenths) => tenths / 10),
    overlap: milliseconds,
  }),
});

/** Expected cost of a set of cuts, from the sentence in the rule's docstring. */
function costOf({ faultProbability, costs }: PacingContext, cuts: readonly number[]): number {
  const layers = faultProbability.length;
  let cost = 0;
  for (let moe = 0; moe < layers; moe++) {
    const next = cuts.find((cut) => cut > moe) ?? layers;
    cost += cuts.includes(moe)
      ? Math.max(0, costs.readback - costs.overlap)
      : FAULT_AVERSION * faultProbability[moe]! * (costs.readback + costs.skipped * (next - moe));
  }
  return cost;
}

function subsets(layers: number): number[][] {
  return Array.from({ length: 2 ** layers }, (_, bits) =>
    Array.from({ length: layers }, (_, moe) => moe).filter((moe) => (bits >> moe) & 1),
  );
}

describe.for(everyRule)("$name", ({ rule }) => {
  test("cuts at layers that exist, in ascending order, the same ones each time", () => {
    fc.assert(
      fc.property(anyContext, (context) => {
        const cuts = rule.cuts(context);

        expect(cuts).toEqual([...new Set(cuts)].sort((a, b) => a - b));
        for (const cut of cuts) {
          expect(Number.isInteger(cut)).toBe(true);
          expect(cut >= 0 && cut < context.faultProbability.length).toBe(true);
        }
        expect(rule.cuts(context)).toEqual(cuts);
      }),
      { numRuns: runs(200) },
    );
  });
});

test("the default rule is in the registry", () => {
  expect(Object.keys(pacingRules)).toContain(DEFAULT_PACING);
});

test("the fixed rules cut nowhere, everywhere and at every other layer", () => {
  const context = {
    faultProbability: [0, 1, 0, 1, 0],
    costs: { readback: 1, layer: 1, skipped: 1, overlap: 0, turnaround: 1 },
  };

  expect(pacingRules.pass.cuts(context)).toEqual([]);
  expect(pacingRules.layer.cuts(context)).toEqual([0, 1, 2, 3, 4]);
  expect(pacingRules.segments.cuts(context)).toEqual([0, 2, 4]);
});

describe("adaptive", () => {
  test("costs as little as the best of all sets of cuts", () => {
    fc.assert(
      fc.property(anyContext, (context) => {
        const cost = costOf(context, pacingRules.adaptive.cuts(context));

        const least = Math.min(
          ...subsets(context.faultProbability.length).map((cuts) => costOf(context, cuts)),
        );
        expect(cost).toBeLessThanOrEqual(least * (1 + 1e-12) + 1e-12);
      }),
      { numRuns: runs(200) },
    );
  });

  const costs = { readback: 2, layer: 0.3, skipped: 0.1, overlap: 0, turnaround: 2 };

  test("cuts nothing where nothing faults, however cheap cuts are", () => {
    const faultProbability = Array<number>(48).fill(0);

    expect(pacingRules.adaptive.cuts({ faultProbability, costs })).toEqual([]);
    expect(
      pacingRules.adaptive.cuts({ faultProbability, costs: { ...costs, overlap: 5 } }),
    ).toEqual([]);
  });

  test("cuts every layer that may fault where work hides the readback", () => {
    const faultProbability = [0.1, 0, 0.01, 0];

    expect(
      pacingRules.adaptive.cuts({ faultProbability, costs: { ...costs, overlap: 2 } }),
    ).toEqual([0, 2]);
  });

  test("cuts a layer that always faults, and not one that rarely does", () => {
    const faultProbability = [0.05, 1, 0.05];

    expect(pacingRules.adaptive.cuts({ faultProbability, costs })).toEqual([1]);
  });

  test("a layer worth a cut at the begin of a pass is not worth one at its end", () => {
    // A fault costs 1.5 * 0.6 * (2 + 0.1 * 3) = 2.07 at the first of three layers and 1.89 at the last; a cut costs 2.
    expect(FAULT_AVERSION).toBe(1.5);
    expect(pacingRules.adaptive.cuts({ faultProbability: [0.6, 0, 0], costs })).toEqual([0]);
    expect(pacingRules.adaptive.cuts({ faultProbability: [0, 0, 0.6], costs })).toEqual([]);
  });
});

describe("FaultEstimate", () => {
  test("starts undecided and comes to what it sees", () => {
    const estimate = new FaultEstimate(3);
    expect([...estimate.probabilities]).toEqual([0.5, 0.5, 0.5]);

    for (let pass = 0; pass < 200; pass++) {
      estimate.observe(0, true);
      estimate.observe(1, false);
      estimate.observe(2, pass % 4 === 0);
    }

    const [always, never, quarter] = estimate.probabilities;
    expect(always).toBeCloseTo(1, 3);
    expect(never).toBeCloseTo(0, 3);
    expect(quarter).toBeGreaterThan(0.2);
    expect(quarter).toBeLessThan(0.3);
  });

  test("an observation one half-life ago counts half", () => {
    const estimate = new FaultEstimate(1, 1);
    for (const missed of [true, false]) estimate.observe(0, missed);

    // Undecided 1/2 at weight 1/4, then 1 at weight 1/2, then 0 at weight 1.
    expect(estimate.probabilities[0]).toBeCloseTo((0.125 + 0.5) / 1.75, 12);
  });

  test("hands out copies", () => {
    const estimate = new FaultEstimate(1);
    const before = estimate.probabilities;
    estimate.observe(0, true);

    expect(before[0]).toBe(0.5);
  });
});
