import { MIN_SCORE_SUM, type RoutingRule } from "../../../src/routing/choose.ts";
import { scoreFunctions } from "../../../src/routing/registry.ts";
import type { Bounded } from "../../helpers/within.ts";
import { bounded, DIVISION, dot, expError, ROUNDING, SMALLEST, type Value } from "./bounds.ts";

/** The logits of each token. weights [experts, hidden], x [tokens, hidden] */
export function routerLogits(
  weights: ArrayLike<number>,
  x: ArrayLike<number>,
  hidden: number,
): readonly (readonly Value[])[] {
  return Array.from({ length: x.length / hidden }, (_, token) =>
    Array.from({ length: weights.length / hidden }, (_, expert) =>
      dot(hidden, { data: weights, first: expert * hidden }, { data: x, first: token * hidden }),
    ),
  );
}

/**
 * The expert that belongs before `chosen[rank]`, if there is one: whose logit is greater beyond doubt, or exactly equal
 * at a lower index. Logits that differ by less than their bounds may come in either order.
 */
export function passedOver(
  logits: readonly Value[],
  chosen: ArrayLike<number>,
  rank: number,
): number | undefined {
  const id = chosen[rank]!;
  const own = logits[id]!;
  const before = new Set(Array.from(chosen).slice(0, rank));
  const better = logits.findIndex(({ value, bound }, other) => {
    if (other === id || before.has(other)) return false;
    return value - bound > own.value + own.bound || (value === own.value && other < id);
  });
  return better === -1 ? undefined : better;
}

/** The weights of the `chosen` experts of one token. */
export function routerWeights(
  logits: readonly Value[],
  chosen: ArrayLike<number>,
  rule: RoutingRule,
): Bounded {
  const values = Float64Array.from(logits, ({ value }) => value);
  const all = scoreFunctions[rule.score].scores(values);
  const scores = Array.from(chosen, (id) => all[id]!);
  const sum = scores.reduce((a, b) => a + b, 0);
  const divisor = rule.renormalise ? Math.max(sum, MIN_SCORE_SUM) : 1;

  const score = scoreError(logits, rule);
  const relative =
    (rule.renormalise ? 2 * score + scores.length * ROUNDING : score) + DIVISION + ROUNDING;
  const absolute = (SMALLEST / divisor) * Math.abs(rule.scale);
  return bounded(
    scores.map((own) => {
      const value = (own / divisor) * rule.scale;
      return { value, bound: Math.expm1(relative) * Math.abs(value) + absolute };
    }),
  );
}

/** Relative error of a score. */
function scoreError(logits: readonly Value[], rule: RoutingRule): number {
  const bound = Math.max(...logits.map((logit) => logit.bound));
  const values = logits.map(({ value }) => value);
  if (rule.score === "sigmoid") {
    const furthest = Math.max(...values.map(Math.abs)) + bound;
    return bound + expError(furthest) + ROUNDING + DIVISION;
  }
  const spread = Math.max(...values) - Math.min(...values) + 2 * bound;
  const exp = bound + ROUNDING * spread + expError(spread);
  return 2 * exp + logits.length * ROUNDING + DIVISION;
}
