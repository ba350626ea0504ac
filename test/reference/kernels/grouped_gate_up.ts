import type { ActivationName } from "../../../src/ops/ops.ts";
import type { Bounded } from "../../helpers/within.ts";
import { bounded, dot, exact, type Run, sumOf, times } from "./bounds.ts";
import { gated } from "./gated_unit.ts";
import { rmsScale } from "./rms_norm.ts";

/** What an expert's gated unit is made of. */
export interface GatedUnit {
  /** [ffn, cols] */
  readonly gate: ArrayLike<number>;
  readonly up: ArrayLike<number>;
  /** [ffn] */
  readonly biases: { readonly gate: ArrayLike<number>; readonly up: ArrayLike<number> } | undefined;
  readonly activation: ActivationName;
}

/** The norm of the input: its weights `[cols]`. */
export interface InputNorm {
  readonly weights: ArrayLike<number>;
  readonly epsilon: number;
}

/** The gated unit of one expert for an input of `cols` numbers, or for its RMS norm. */
export function gatedUnitReference(
  { gate, up, biases, activation }: GatedUnit,
  x: Run,
  cols: number,
  norm: InputNorm | undefined,
): Bounded {
  const scale = norm ? rmsScale(x, cols, norm.epsilon) : exact(1);
  const weighted = Array.from(
    { length: cols },
    (_, i) => x.data[x.first + i]! * (norm?.weights[i] ?? 1),
  );
  const sum = (matrix: ArrayLike<number>, row: number, bias: number) => {
    // One rounding more than the products': that of each number with its weight.
    const product = dot(cols, { data: matrix, first: row * cols }, { data: weighted, first: 0 }, 0);
    return sumOf([times(product, scale), exact(bias)]);
  };
  return bounded(
    Array.from({ length: gate.length / cols }, (_, row) =>
      gated(sum(gate, row, biases?.gate[row] ?? 0), sum(up, row, biases?.up[row] ?? 0), activation),
    ),
  );
}
