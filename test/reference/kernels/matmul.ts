import type { Bounded } from "../../helpers/within.ts";
import { bounded, dot } from "./bounds.ts";

/** `x Wᵀ + residual`. weights [rows, cols], x [tokens, cols], residual [tokens, rows] */
export function matmulReference(
  weights: ArrayLike<number>,
  x: ArrayLike<number>,
  cols: number,
  residual?: ArrayLike<number>,
): Bounded {
  const rows = weights.length / cols;
  return bounded(
    Array.from({ length: (x.length / cols) * rows }, (_, index) => {
      const row = { data: weights, first: (index % rows) * cols };
      const token = { data: x, first: Math.floor(index / rows) * cols };
      return dot(cols, row, token, residual?.[index]);
    }),
  );
}
