import type { Bounded } from "../../helpers/within.ts";
import {
  bounded,
  dot,
  exact,
  finished,
  type ProductOptions,
  type Run,
  sumOf,
  times,
  type Value,
} from "./bounds.ts";
import { layerNormedRow } from "./layer_norm.ts";
import { rmsScale } from "./rms_norm.ts";

/** The norm that a product takes of its input on the way: an RMS norm or, with a bias, a layer norm. */
export interface InputNorm {
  /** [cols] each */
  readonly weight: ArrayLike<number>;
  readonly bias?: ArrayLike<number>;
  readonly epsilon: number;
  /** Of a layer norm. */
  readonly centred?: boolean;
}

/** The product of a row with a token's input, or with the norm of it: `cols` numbers each. */
export function product(cols: number, row: Run, input: Run, norm?: InputNorm): Value {
  if (!norm) return dot(cols, row, input);
  if (norm.bias)
    return sumOf(
      layerNormed(cols, input, norm).map((number, i) => {
        const weight = row.data[row.first + i]!;
        return times(number, exact(weight));
      }),
    );
  const data = Array.from(
    { length: cols },
    (_, i) => input.data[input.first + i]! * norm.weight[i]!,
  );
  const { value, bound } = dot(cols, row, { data, first: 0 });
  // Each number of the input was rounded once more.
  const weighted = { value, bound: (bound * (cols + 1)) / cols };
  return times(weighted, rmsScale(input, cols, norm.epsilon));
}

/** The numbers of a layer-normed input. */
export function layerNormed(cols: number, { data, first }: Run, norm: InputNorm): Value[] {
  const x = Float64Array.from({ length: cols }, (_, i) => data[first + i]!);
  const { weight, bias = [], epsilon, centred } = norm;
  return layerNormedRow(x, weight, bias, {
    epsilon: Math.fround(epsilon),
    ...(centred !== undefined && { centred }),
  });
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
