import type { Bounded } from "../../helpers/within.ts";
import { bounded, dot, finished, type ProductOptions } from "./bounds.ts";

/** `scale * (W x + bias) + residual`. weights [rows, x.length], bias and residual [rows] */
export function matvecReference(
  weights: ArrayLike<number>,
  x: ArrayLike<number>,
  options: ProductOptions = {},
): Bounded {
  const rows = weights.length / x.length;
  return bounded(
    Array.from({ length: rows }, (_, row) => {
      const sum = dot(x.length, { data: weights, first: row * x.length }, { data: x, first: 0 });
      return finished(sum, row, row, options);
    }),
  );
}
