import type { Bounded } from "../../helpers/within.ts";
import { bounded, dot, finished, type ProductOptions } from "./bounds.ts";

/** `scale * (x Wᵀ + bias) + residual`. weights [rows, cols], x [tokens, cols], residual [tokens, rows] */
export function matmulReference(
  weights: ArrayLike<number>,
  x: ArrayLike<number>,
  cols: number,
  options: ProductOptions = {},
): Bounded {
  const rows = weights.length / cols;
  return bounded(
    Array.from({ length: (x.length / cols) * rows }, (_, index) => {
      const row = { data: weights, first: (index % rows) * cols };
      const token = { data: x, first: Math.floor(index / rows) * cols };
      return finished(dot(cols, row, token), index % rows, index, options);
    }),
  );
}
