import type { Bounded } from "../../helpers/within.ts";
import { rmsNormReference } from "./rms_norm.ts";
import { type RotateRule, rotatedReference } from "./rotate_append.ts";

/** What `latent_append` is told. */
export interface LatentRule {
  readonly heads: number;
  readonly rank: number;
  readonly ropeDims: number;
  readonly pairing: RotateRule["pairing"];
  readonly epsilon: number;
}

/**
 * Queries: the absorbed part, then the rotated one.
 *
 * q [tokens, heads, qWidth], whose last `ropeDims` are rotated · absorbed: its products [tokens, heads, rank] · angles
 * [tokens, ropeDims / 2] (cos, sin), of the tokens' positions -> [tokens, heads, rank + ropeDims]
 */
export function latentQueries(
  q: Float32Array,
  absorbed: Bounded,
  angles: ArrayLike<number>,
  rule: LatentRule,
): Bounded {
  const { heads, rank, ropeDims } = rule;
  const qWidth = (q.length / absorbed.values.length) * rank;
  const ends = columns(q, qWidth, qWidth - ropeDims, ropeDims);
  return joined(absorbed, rank, rotatedRows(ends, heads, angles, rule), ropeDims);
}

/** Rows of the cache: the normalised part, then the rotated one. kv [tokens, rank + ropeDims], norm [rank] */
export function latentRows(
  kv: Float32Array,
  norm: Float32Array,
  angles: ArrayLike<number>,
  rule: LatentRule,
): Bounded {
  const { rank, ropeDims, epsilon } = rule;
  const compressed = columns(kv, rank + ropeDims, 0, rank);
  const ends = columns(kv, rank + ropeDims, rank, ropeDims);
  const normed = rmsNormReference(compressed, norm, epsilon);
  return joined(normed, rank, rotatedRows(ends, 1, angles, rule), ropeDims);
}

function rotatedRows(
  x: Float32Array,
  heads: number,
  angles: ArrayLike<number>,
  { ropeDims, pairing, epsilon }: LatentRule,
): Bounded {
  const whole = { headDim: ropeDims, ropeDims, ropeFirst: 0, pairing, epsilon } as const;
  return rotatedReference(x, heads * ropeDims, [], angles, { ...whole, norm: "none" });
}

/** `count` columns from `first` on of rows of `width`. */
function columns(x: Float32Array, width: number, first: number, count: number): Float32Array {
  return Float32Array.from(
    { length: (x.length / width) * count },
    (_, index) => x[Math.floor(index / count) * width + first + (index % count)]!,
  );
}

/** Each row of `a` with the row of `b` behind it. */
function joined(a: Bounded, aWidth: number, b: Bounded, bWidth: number): Bounded {
  const rows = a.values.length / aWidth;
  const join = (left: ArrayLike<number>, right: ArrayLike<number>) =>
    Array.from({ length: rows }, (_, row) => [
      ...Array.from(left).slice(row * aWidth, (row + 1) * aWidth),
      ...Array.from(right).slice(row * bWidth, (row + 1) * bWidth),
    ]).flat();
  return { values: join(a.values, b.values), bounds: join(a.bounds, b.bounds) };
}
