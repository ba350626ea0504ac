import type { Bounded } from "../../helpers/within.ts";
import { bounded, ROUNDING, type Value } from "./bounds.ts";
import { rmsScale, scaled } from "./rms_norm.ts";

/** How `rotate_append` norms and rotates. */
export interface RotateRule {
  readonly headDim: number;
  readonly ropeDims: number;
  /** The first rotated dimension of a head. */
  readonly ropeFirst: number;
  readonly pairing: "half-split" | "interleaved";
  readonly norm: "none" | "head" | "all heads";
  readonly epsilon: number;
}

/**
 * q or k of some tokens, normed and rotated.
 *
 * x [tokens, width] · weights [headDim] or [width], unused without norm · angles [tokens, ropeDims / 2] (cos, sin), of
 * the tokens' positions
 */
export function rotatedReference(
  x: ArrayLike<number>,
  width: number,
  weights: ArrayLike<number>,
  angles: ArrayLike<number>,
  rule: RotateRule,
): Bounded {
  const { headDim, ropeDims, ropeFirst, pairing } = rule;
  const half = ropeDims / 2;
  const normed = normedValues(x, width, weights, rule);
  const result = [...normed];
  for (let first = 0; first < x.length; first += headDim) {
    const token = Math.floor(first / width);
    for (let pair = 0; pair < half; pair++) {
      const a = first + ropeFirst + (pairing === "interleaved" ? 2 * pair : pair);
      const b = pairing === "interleaved" ? a + 1 : a + half;
      const cos = angles[2 * (token * half + pair)]!;
      const sin = angles[2 * (token * half + pair) + 1]!;
      result[a] = weightedSum(normed[a]!, cos, normed[b]!, -sin);
      result[b] = weightedSum(normed[a]!, sin, normed[b]!, cos);
    }
  }
  return bounded(result);
}

function normedValues(
  x: ArrayLike<number>,
  width: number,
  weights: ArrayLike<number>,
  { headDim, norm, epsilon }: RotateRule,
): Value[] {
  if (norm === "none") return Array.from(x, (value) => ({ value, bound: 0 }));
  const normWidth = norm === "head" ? headDim : width;
  return Array.from(x, (value, index) => {
    const scale = rmsScale({ data: x, first: index - (index % normWidth) }, normWidth, epsilon);
    return scaled(value, scale, weights[index % normWidth]!);
  });
}

/** `a * by + b * with` */
function weightedSum(a: Value, by: number, b: Value, other: number): Value {
  const carried = a.bound * Math.abs(by) + b.bound * Math.abs(other);
  const magnitude = Math.abs(a.value * by) + Math.abs(b.value * other) + carried;
  return { value: a.value * by + b.value * other, bound: carried + 2 * ROUNDING * magnitude };
}
