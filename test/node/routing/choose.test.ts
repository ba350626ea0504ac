import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chooseExperts, MIN_SCORE_SUM } from "../../../src/routing/choose.ts";
import { scoreFunctions } from "../../../src/routing/registry.ts";
import type { ScoreFunction } from "../../../src/routing/router.ts";
import { runs } from "../../helpers/random-cases.ts";

/** Logits with ties, spread over what routers give and beyond. */
const logitsArbitrary = fc
  .array(fc.oneof(fc.constantFrom(0, 1, -50, 80), fc.double({ min: -20, max: 20, noNaN: true })), {
    minLength: 1,
    maxLength: 20,
  })
  .map((logits) => Float64Array.from(logits));

const scores: readonly ScoreFunction[] = Object.values(scoreFunctions);

test.for(scores.filter(({ growsWithLogit }) => growsWithLogit))(
  "$name never falls where the logit grows",
  (score) => {
    fc.assert(
      fc.property(logitsArbitrary, (logits) => {
        const scores = score.scores(logits);
        const order = [...logits.keys()].sort((a, b) => logits[a]! - logits[b]!);
        const sorted = order.map((expert) => scores[expert]!);
        expect(sorted).toEqual([...sorted].sort((a, b) => a - b));
      }),
      { numRuns: runs(100) },
    );
  },
);

describe.for(scores)("$name", (score) => {
  test("supplies its part of the router shader", () => {
    const source = score.parts.join("\n");
    expect(source).toContain("fn router_terms() -> vec2f {");
    expect(source).toContain("fn router_score(expert: u32, terms: vec2f) -> f32 {");
    expect(source).toContain("fn chosen_score(rank: u32) -> f32 {");
  });

  test("is registered under its name", () => {
    expect(scoreFunctions).toHaveProperty([score.name], score);
  });
});

test("softmax scores add up to one, however great the logits", () => {
  const scores = scoreFunctions.softmax.scores(Float64Array.of(1000, 1001, 999));
  expect(scores.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
  expect(scores[1]).toBeCloseTo(Math.E ** 2 / (1 + Math.E + Math.E ** 2), 12);
});

test("sigmoid scores each expert by itself", () => {
  const scores = scoreFunctions.sigmoid.scores(Float64Array.of(0, Math.log(3), -800));
  expect([...scores]).toEqual([0.5, expect.closeTo(0.75, 12), 0]);
});

test("sqrt-softplus is the root of log(1 + exp), however great the logits", () => {
  const scores = scoreFunctions["sqrt-softplus"].scores(Float64Array.of(0, 2, 900, -40));
  expect([...scores]).toEqual([
    expect.closeTo(Math.sqrt(Math.log(2)), 12),
    expect.closeTo(Math.sqrt(Math.log(1 + Math.E ** 2)), 12),
    30,
    expect.closeTo(Math.exp(-20), 20),
  ]);
});

describe("sparsemixer", () => {
  /** `sparsemixer` of Phi-3.5-MoE, word for word in loops: the choice and its weights, jitter 0.01. */
  function published(logits: readonly number[], topK: number) {
    let left = logits.map((logit) => logit);
    return Array.from({ length: topK }, () => {
      const best = Math.max(...left);
      const expert = left.indexOf(best);
      const masked = left.map((logit, i) => {
        const factor = Math.max(Math.abs(logits[i]!), best);
        return (best - logits[i]!) / factor > 2 * 0.01 ? Number.NEGATIVE_INFINITY : logit;
      });
      const sum = masked.reduce((sum, logit) => sum + Math.exp(logit - best), 0);
      left = left.map((logit, i) => (i === expert ? Number.NEGATIVE_INFINITY : logit));
      return { expert, weight: 1 / sum };
    });
  }

  test("chooses and weighs as Phi's own code does", () => {
    const near = fc.constantFrom(-3, -1.02, -1.01, -1, 0, 0.5, 1, 1.01, 1.015, 4, 4.05);
    fc.assert(
      fc.property(fc.array(near, { minLength: 2, maxLength: 16 }), (logits) => {
        const rule = { score: "sparsemixer", topK: 2, renormalise: false, scale: 1 } as const;
        const { experts, weights } = chooseExperts(Float64Array.from(logits), rule);
        const expected = published(logits, 2);
        expect(experts).toEqual(expected.map(({ expert }) => expert));
        for (const [i, { weight }] of expected.entries())
          expect(weights[i]).toBeCloseTo(weight, 12);
      }),
      { numRuns: runs(100) },
    );
  });

  test("weighs each expert by itself: alone it counts whole", () => {
    const rule = { score: "sparsemixer", topK: 2, renormalise: false, scale: 1 } as const;
    expect(chooseExperts(Float64Array.of(1, 5, 3, 2), rule)).toEqual({
      experts: [1, 2],
      weights: [1, 1],
    });
  });
});

describe("chooseExperts", () => {
  const rule = { score: "softmax", topK: 2, renormalise: false, scale: 1 } as const;

  test("puts the best first and gives ties to the lower index", () => {
    const choice = chooseExperts(Float64Array.of(1, 3, 2, 3, 2), { ...rule, topK: 4 });
    expect(choice.experts).toEqual([1, 3, 2, 4]);
  });

  test("ranks by logit where scores round to the same number", () => {
    const choice = chooseExperts(Float64Array.of(40, 41, 42), { ...rule, score: "sigmoid" });
    expect(choice.experts).toEqual([2, 1]);
  });

  test("weighs by the score over all experts unless told to renormalise", () => {
    const logits = Float64Array.of(0, Math.log(2), Math.log(5));
    expect(chooseExperts(logits, rule).weights).toEqual([
      expect.closeTo(5 / 8, 12),
      expect.closeTo(2 / 8, 12),
    ]);
    expect(chooseExperts(logits, { ...rule, renormalise: true }).weights).toEqual([
      expect.closeTo(5 / 7, 12),
      expect.closeTo(2 / 7, 12),
    ]);
  });

  test("scales after renormalising", () => {
    const scaled = { ...rule, renormalise: true, scale: 2.5 };
    const { weights } = chooseExperts(Float64Array.of(1, 2, 3), scaled);
    expect(weights.reduce((a, b) => a + b)).toBeCloseTo(2.5, 12);
  });

  test("softmax after top-k weighs the chosen among themselves", () => {
    const afterTopK = { ...rule, score: "softmax-after-top-k" } as const;
    const logits = Float64Array.of(0, Math.log(2), Math.log(5));
    const expected = { experts: [2, 1], weights: [expect.closeTo(5 / 7), expect.closeTo(2 / 7)] };
    expect(chooseExperts(logits, afterTopK)).toEqual(expected);
    expect(chooseExperts(logits, { ...afterTopK, renormalise: true })).toEqual(expected);
  });

  test("a selection bias decides the choice, and the weights do not know it", () => {
    const sigmoid = { ...rule, score: "sigmoid" } as const;
    const logits = Float64Array.of(0, Math.log(3), 0);
    const { experts, weights } = chooseExperts(logits, sigmoid, { selectionBias: [0, -0.3, 0.1] });
    expect(experts).toEqual([2, 0]);
    expect(weights).toEqual([0.5, 0.5]);
  });

  test("ranks by score in f32 with a selection bias: where sigmoids are all 1, the lower index", () => {
    const sigmoid = { ...rule, score: "sigmoid" } as const;
    const logits = Float64Array.of(40, 41, 42);
    expect(chooseExperts(logits, sigmoid, { selectionBias: [0, 0, 0] }).experts).toEqual([0, 1]);
  });

  test("chooses within the groups whose two best experts are worth most", () => {
    const groups = { count: 3, keep: 1 };
    // The groups are worth 3, 3.5 and 3.5, though the first has the best expert.
    const logits = Float64Array.of(3, 0, 0, 2, 1.5, 1, 1, 1.5, 2);
    const grouped = { ...rule, score: "softmax-after-top-k", topK: 3, groups } as const;
    expect(chooseExperts(logits, grouped).experts).toEqual([3, 4, 5]);
    const two = { ...grouped, groups: { count: 3, keep: 2 } };
    expect(chooseExperts(logits, two).experts).toEqual([3, 8, 4]);
  });

  test("scales each expert by its own factor, after all else", () => {
    const renormalised = { ...rule, renormalise: true, scale: 2 };
    const { weights } = chooseExperts(Float64Array.of(1, 1, 0), renormalised, { scale: [3, 5, 7] });
    expect(weights).toEqual([3, 5]);
  });

  test("divides by no less than the clamp", () => {
    const logits = Float64Array.of(-30, -30, -31);
    const { weights } = chooseExperts(logits, { ...rule, score: "sigmoid", renormalise: true });
    expect(weights[0]).toBeCloseTo(1 / (1 + Math.exp(30)) / MIN_SCORE_SUM, 12);
  });

  test("chooses as sorting all experts does", () => {
    fc.assert(
      fc.property(logitsArbitrary, fc.nat(), (logits, seed) => {
        const topK = 1 + (seed % logits.length);
        const { experts } = chooseExperts(logits, { ...rule, topK });
        const beats = (a: number, b: number) =>
          logits[a]! > logits[b]! || (logits[a] === logits[b] && a < b);
        const rank = (expert: number) =>
          [...logits.keys()].filter((other) => beats(other, expert)).length;
        expect(experts.map(rank)).toEqual(Array.from({ length: topK }, (_, i) => i));
      }),
      { numRuns: runs(100) },
    );
  });
});
