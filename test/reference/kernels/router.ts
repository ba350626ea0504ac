import {
  type ExpertVectors,
  MIN_SCORE_SUM,
  type RoutingRule,
} from "../../../src/routing/choose.ts";
import { scoreFunctions } from "../../../src/routing/registry.ts";
import type { ScoreFunction } from "../../../src/routing/router.ts";
import type { Bounded } from "../../helpers/within.ts";
import {
  bounded,
  DIVISION,
  exact,
  expError,
  INVERSE_SQRT,
  ROUNDING,
  SMALLEST,
  sumOf,
  times,
  type Value,
} from "./bounds.ts";
import { scaleOf } from "./joined_norms.ts";
import { type InputNorm, product } from "./product.ts";
import { rmsNormReference } from "./rms_norm.ts";

/** What a router's norm is of a sum with: x is normalised with these weights [cols], then residual [tokens, cols] added. */
export interface RouterSummand {
  readonly weight: ArrayLike<number>;
  readonly residual: ArrayLike<number>;
}

/** The logits of each token, times `scale` (1); its input is x or the norm of it. weights [experts, cols], x [tokens, cols], bias [experts] */
export function routerLogits(
  weights: ArrayLike<number>,
  x: ArrayLike<number>,
  cols: number,
  {
    bias,
    norm,
    summand,
    scale = 1,
  }: {
    readonly bias?: ArrayLike<number> | undefined;
    readonly norm?: InputNorm | undefined;
    readonly summand?: RouterSummand | undefined;
    readonly scale?: number;
  } = {},
): readonly (readonly Value[])[] {
  const sums = norm && summand && summedNorm(x, cols, norm, summand);
  return Array.from({ length: x.length / cols }, (_, token) =>
    Array.from({ length: weights.length / cols }, (_, expert) => {
      const row = { data: weights, first: expert * cols };
      const logit = sums
        ? sumOf(sums[token]!.map((number, i) => times(number, exact(weights[expert * cols + i]!))))
        : product(cols, row, { data: x, first: token * cols }, norm);
      const biased = bias ? sumOf([logit, exact(bias[expert]!)]) : logit;
      return scale === 1 ? biased : times(biased, exact(scale));
    }),
  );
}

/** The norm of each token's sum. */
function summedNorm(
  x: ArrayLike<number>,
  cols: number,
  { weight, epsilon }: InputNorm,
  summand: RouterSummand,
): readonly (readonly Value[])[] {
  const { values, bounds } = rmsNormReference(x, summand.weight, epsilon, {
    residual: summand.residual,
    scale: undefined,
  });
  return Array.from({ length: x.length / cols }, (_, token) => {
    const row = Array.from({ length: cols }, (_, i) => {
      const index = token * cols + i;
      return { value: values[index]!, bound: bounds[index]! };
    });
    const scale = scaleOf(row, epsilon);
    return row.map((value, i) => times(times(value, exact(weight[i]!)), scale));
  });
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
  vectors: ExpertVectors = {},
): Bounded {
  const values = Float64Array.from(logits, ({ value }) => value);
  const score: ScoreFunction = scoreFunctions[rule.score];
  const all = score.scores(values);
  const own = Array.from(chosen, (id) => all[id]!);
  const scores = score.weigh?.(own) ?? own;
  const sum = scores.reduce((a, b) => a + b, 0);
  const divisor = rule.renormalise && !score.weigh ? Math.max(sum, MIN_SCORE_SUM) : 1;

  const error = scoreError(logits, rule);
  const relative =
    (rule.renormalise ? 2 * error + scores.length * ROUNDING : error) + DIVISION + 2 * ROUNDING;
  return bounded(
    scores.map((one, rank) => {
      const scale = rule.scale * (vectors.scale?.[chosen[rank]!] ?? 1);
      const value = (one / divisor) * scale;
      const absolute = (SMALLEST / divisor) * Math.abs(scale);
      return { value, bound: Math.expm1(relative) * Math.abs(value) + absolute };
    }),
  );
}

/** Relative error of a score, or of a weight of softmax-after-top-k. */
function scoreError(logits: readonly Value[], rule: RoutingRule): number {
  const bound = Math.max(...logits.map((logit) => logit.bound));
  const values = logits.map(({ value }) => value);
  const furthest = Math.max(...values.map(Math.abs)) + bound;
  const spread = Math.max(...values) - Math.min(...values) + 2 * bound;
  switch (rule.score) {
    case "sigmoid":
      return bound + expError(furthest) + ROUNDING + DIVISION;
    case "sqrt-softplus":
      // Some 16 roundings of a sum of numbers that are not negative, and a root of 2.5 + 2 units in the last place.
      return bound + expError(furthest) + 16 * ROUNDING + 2 * DIVISION + INVERSE_SQRT;
    case "softmax":
    case "softmax-after-top-k":
    case "sparsemixer":
      return (
        2 * (2 * bound + ROUNDING * spread + expError(spread)) + logits.length * ROUNDING + DIVISION
      );
  }
}
