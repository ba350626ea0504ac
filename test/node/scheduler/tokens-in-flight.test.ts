import fc from "fast-check";
import { expect, test } from "vitest";
import type { PacingContext } from "../../../src/scheduler/pacing/pacing.ts";
import { MOST_IN_FLIGHT, tokensInFlight } from "../../../src/scheduler/pacing/tokens-in-flight.ts";
import { runs } from "../../helpers/random-cases.ts";

/** Costs of a pass of ten layers that takes 10 ms. */
function context(turnaround: number, probability = 0, skipped = 0.1): PacingContext {
  return {
    faultProbability: new Float64Array(10).fill(probability),
    costs: { readback: turnaround, layer: 1, skipped, overlap: 0, turnaround },
  };
}

test("two passes hide a turnaround that is short beside a pass", () => {
  expect(tokensInFlight(context(0))).toBe(1);
  expect(tokensInFlight(context(1))).toBe(2);
  expect(tokensInFlight(context(5))).toBe(2);
});

test("a long turnaround takes as many as cover it with slack, up to a limit", () => {
  expect(tokensInFlight(context(10))).toBe(3);
  expect(tokensInFlight(context(25))).toBe(6);
  expect(tokensInFlight(context(1000))).toBe(MOST_IN_FLIGHT);
});

test("where faults are likely, and cost what is skipped, it is one", () => {
  expect(tokensInFlight(context(0.4, 0.5, 1))).toBe(1);
  expect(tokensInFlight(context(5, 0.001, 1))).toBe(2);
});

test("more faults and dearer ones never mean more tokens, a longer turnaround never fewer", () => {
  const milliseconds = fc.double({ min: 0, max: 50, noNaN: true });
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(milliseconds, milliseconds, share, share, (turnaround, longer, one, other) => {
      const [less, more] = [Math.min(one, other), Math.max(one, other)];

      expect(tokensInFlight(context(turnaround, more))).toBeLessThanOrEqual(
        tokensInFlight(context(turnaround, less)),
      );
      expect(tokensInFlight(context(turnaround + longer, less))).toBeGreaterThanOrEqual(
        tokensInFlight(context(turnaround, less)),
      );
    }),
    { numRuns: runs(100) },
  );
});
