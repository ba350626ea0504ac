import type { Bounded } from "../../helpers/within.ts";
import {
  bounded,
  dot,
  finished,
  type ProductOptions,
  type Run,
  times,
  type Value,
} from "./bounds.ts";
import { rmsScale } from "./rms_norm.ts";

/** The RMS norm that a product takes of its input on the way. */
export interface InputNorm {
  /** [cols] */
  readonly weight: ArrayLike<number>;
  readonly epsilon: number;
}

/** The product of a row with a token's input, or with the norm of it: `cols` numbers each. */
export function product(cols: number, row: Run, input: Run, norm?: InputNorm): Value {
  if (!norm) return dot(cols, row, input);
  const data = Array.from(
    { length: cols },
    (_, i) => input.data[input.first + i]! * norm.weight[i]!,
  );
  const { value, bound } = dot(cols, row, { data, first: 0 });
  // Each number of the input was rounded once more.
  const weighted = { value, bound: (bound * (cols + 1)) / cols };
  return times(weighted, rmsScale(input, cols, norm.epsilon));
}

/** `scale * (input Wᵀ + bias) + residual`. weights [rows, cols], x [tokens, cols], residual [tokens, rows] */
export function productReference(
  weights: ArrayLike<number>,
  x: ArrayLike<number>,
  cols: number,
  options: ProductOptions & { readonly norm?: InputNorm | undefined } = {},
): Bounded {
  const rows = weights.length / cols;
  return bounded(
    Array.from({ length: (x.length / cols) * rows }, (_, index) => {
      const row = { data: weights, first: (index % rows) * cols };
      const token = { data: x, first: Math.floor(index / rows) * cols };
      const sum = product(cols, row, token, options.norm);
      return finished(sum, index % rows, index, options);
    }),
  );
}
