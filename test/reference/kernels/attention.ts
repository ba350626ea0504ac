import type { Bounded } from "../../helpers/within.ts";
import { bounded, DIVISION, dot, expError, ROUNDING, SMALLEST, type Value } from "./bounds.ts";

/** What {@link attentionReference} attends with. */
export interface AttentionInput {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly context: number;
  readonly window: number;
  readonly scale: number;
  /** Of the first token. */
  readonly position: number;
  /** [tokens, heads, headDim] */
  readonly q: ArrayLike<number>;
  /** [2, context, kvHeads, headDim]: keys, then values */
  readonly cache: ArrayLike<number>;
  /** Keys that the kernel takes at a time: it renormalises after each. */
  readonly tile: number;
}

/** Causal attention over the last `window` keys. */
export function attentionReference(input: AttentionInput): Bounded {
  const { heads, kvHeads, headDim, context, window, scale, position, q, cache, tile } = input;
  const stride = kvHeads * headDim;
  const results: Value[] = [];
  for (let first = 0; first < q.length; first += headDim) {
    const head = (first / headDim) % heads;
    const end = position + Math.floor(first / headDim / heads) + 1;
    const start = Math.max(0, end - window);
    const kvFirst = Math.floor(head / (heads / kvHeads)) * headDim;
    const query = { data: q, first };
    const scores = Array.from({ length: end - start }, (_, key) => {
      const { value, bound } = dot(headDim, query, {
        data: cache,
        first: (start + key) * stride + kvFirst,
      });
      const score = value * scale;
      return { value: score, bound: bound * Math.abs(scale) + ROUNDING * Math.abs(score) };
    });
    const { weights, errors } = softmax(scores, tile);
    for (let dim = 0; dim < headDim; dim++) {
      const valuesFirst = (context + start) * stride + kvFirst + dim;
      const values = weights.map((_, key) => cache[valuesFirst + key * stride]!);
      results.push(weightedMean(weights, errors, values, tile));
    }
  }
  return bounded(results);
}

/** Weights that add up to 1, and how far from each its logarithm may be, before the division by their sum. */
function softmax(
  scores: readonly Value[],
  tile: number,
): { readonly weights: readonly number[]; readonly errors: readonly number[] } {
  const highest = Math.max(...scores.map(({ value }) => value));
  const exps = scores.map(({ value }) => Math.exp(value - highest));
  const sum = exps.reduce((a, b) => a + b, 0);
  const tiles = Math.ceil(scores.length / tile);
  const errors = scores.map(({ value, bound }) => {
    // The exponents of all corrections add up to this distance; each exp and each product has its error.
    const distance = highest - value + 2 * bound;
    return bound + ROUNDING * (distance + 2 * tiles) + tiles * expError(0) + expError(distance);
  });
  return { weights: exps.map((exp) => exp / sum), errors };
}

/** With weights off by factors 1 + η, the mean is off by `sum of w η (v - mean) / sum of w (1 + η)`. */
function weightedMean(
  weights: readonly number[],
  errors: readonly number[],
  values: readonly number[],
  tile: number,
): Value {
  const value = weights.reduce((sum, weight, key) => sum + weight * values[key]!, 0);
  let moved = 0;
  let magnitude = 0;
  let leastSum = 0;
  for (const [key, weight] of weights.entries()) {
    const own = values[key]!;
    moved += (weight * Math.expm1(errors[key]!) + SMALLEST) * Math.abs(own - value);
    magnitude += weight * Math.exp(errors[key]!) * Math.abs(own);
    leastSum += weight * Math.exp(-errors[key]!);
  }
  const roundings = 2 * (values.length + Math.ceil(values.length / tile) + 1) * ROUNDING + DIVISION;
  return { value, bound: (moved + roundings * magnitude) / leastSum };
}
