import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chooseExperts, MIN_SCORE_SUM } from "../../../src/routing/choose.ts";
import { scoreFunctions } from "../../../src/routing/registry.ts";

/** Logits with ties, spread over what routers give and beyond. */
const logitsArbitrary = fc
  .array(fc.oneof(fc.constantFrom(0, 1, -50, 80), fc.double({ min: -20, max: 20, noNaN: true })), {
    minLength: 1,
    maxLength: 20,
  })
  .map((logits) => Float64Array.from(logits));

describe.for(Object.values(scoreFunctions))("$name", (score) => {
  test("never falls where the logit grows", () => {
    fc.assert(
      fc.property(logitsArbitrary, (logits) => {
        const scores = score.scores(logits);
        const order = [...logits.keys()].sort((a, b) => logits[a]! - logits[b]!);
        const sorted = order.map((expert) => scores[expert]!);
        expect(sorted).toEqual([...sorted].sort((a, b) => a - b));
      }),
    );
  });

  test("supplies its part of the router shader", () => {
    expect(score.source).toContain(
      "fn router_score(logit: f32, max_logit: f32, sum_exp: f32) -> f32 {",
    );
  });

  test("is registered under its name", () => {
    expect(scoreFunctions).toHaveProperty(score.name, score);
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
    );
  });
});
