import type { Bounded } from "../../helpers/within.ts";
import { bounded, DIVISION, dot, expError, ROUNDING, SMALLEST, type Value } from "./bounds.ts";

/** What {@link attentionReference} attends with. */
export interface AttentionInput {
  readonly heads: number;
  readonly kvHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  /** From a KV head's keys to the next one's, and likewise its values. */
  readonly keyStep: number;
  readonly valueStep: number;
  readonly keyStride: number;
  readonly valueStride: number;
  /** The number of the cache at which values start. */
  readonly valuesFirst: number;
  /** Position p is in row p modulo this. */
  readonly rows: number;
  readonly window: number;
  readonly scale: number;
  /** 0: none. */
  readonly softcap: number;
  /** [heads] */
  readonly sinks?: ArrayLike<number> | undefined;
  /** Of the first token. */
  readonly position: number;
  /** [tokens, heads, keyDim] */
  readonly q: Float32Array;
  /** [rows, keyStride] keys, then [rows, valueStride] values */
  readonly cache: ArrayLike<number>;
  /** Keys that the kernel takes at a time, and spans of them that it adds up: it renormalises after each. */
  readonly tile: number;
  readonly span: number;
}

/** Causal attention over the last `window` keys. */
export function attentionReference(input: AttentionInput): Bounded {
  const { heads, kvHeads, keyDim, valueDim, rows, window, position, q, cache } = input;
  const results: Value[] = [];
  for (let first = 0; first < q.length; first += keyDim) {
    const head = (first / keyDim) % heads;
    const end = position + Math.floor(first / keyDim / heads) + 1;
    const start = Math.max(0, end - window);
    const kvHead = Math.floor(head / (heads / kvHeads));
    const rowsOfKeys = Array.from({ length: end - start }, (_, key) => (start + key) % rows);
    const scores = rowsOfKeys.map((row) => {
      const key = { data: cache, first: row * input.keyStride + kvHead * input.keyStep };
      return scoreOf(dot(keyDim, { data: q, first }, key), input);
    });
    const sink = input.sinks ? [{ value: input.sinks[head]!, bound: 0 }] : [];
    // A window begins in the middle of a tile and of a span.
    const { tile, span } = input;
    const tiles = Math.ceil(scores.length / tile) + Math.ceil(scores.length / span) + 2;
    const { weights, errors } = softmax([...scores, ...sink], tiles);
    for (let dim = 0; dim < valueDim; dim++) {
      const valuesFirst = input.valuesFirst + kvHead * input.valueStep + dim;
      const values = rowsOfKeys.map((row) => cache[valuesFirst + row * input.valueStride]!);
      results.push(weightedMean(weights, errors, [...values, ...sink.map(() => 0)], tiles));
    }
  }
  return bounded(results);
}

function scoreOf(product: Value, { scale, softcap }: AttentionInput): Value {
  const score = product.value * scale;
  const bound = product.bound * Math.abs(scale) + ROUNDING * Math.abs(score);
  if (softcap === 0) return { value: score, bound };
  const value = softcap * Math.tanh(score / softcap);
  const exponent = (2 * Math.abs(score)) / softcap;
  // (1 - t) / (1 + t) of t = exp(-exponent) has a slope of at most 2; a cap never moves a score by more than its error.
  const ofExp = expError(exponent) + exponent * (2 * ROUNDING + DIVISION);
  const capping = softcap * (2 * Math.exp(-exponent) * ofExp + DIVISION + 4 * ROUNDING);
  return { value, bound: bound + capping };
}

/** Weights that add up to 1, and how far from each its logarithm may be, before the division by their sum. */
function softmax(
  scores: readonly Value[],
  tiles: number,
): { readonly weights: readonly number[]; readonly errors: readonly number[] } {
  const highest = Math.max(...scores.map(({ value }) => value));
  const exps = scores.map(({ value }) => Math.exp(value - highest));
  const sum = exps.reduce((a, b) => a + b, 0);
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
  tiles: number,
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
  const roundings = 2 * (values.length + tiles + 1) * ROUNDING + DIVISION;
  return { value, bound: (moved + roundings * magnitude) / leastSum };
}
