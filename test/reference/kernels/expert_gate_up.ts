import type { ActivationName } from "../../../src/ops/ops.ts";
import type { Bounded } from "../../helpers/within.ts";
import { bounded, dot, type Run } from "./bounds.ts";
import { gated } from "./gated_unit.ts";

/**
 * The gated unit of `gate x` and `up x`, each plus its bias, of one expert. gate and up [ffn, hidden], x `hidden`
 * numbers, biases [ffn]
 */
export function expertGateUpReference(
  gate: ArrayLike<number>,
  up: ArrayLike<number>,
  x: Run,
  hidden: number,
  activation: ActivationName,
  biases?: { readonly gate: ArrayLike<number>; readonly up: ArrayLike<number> },
): Bounded {
  return bounded(
    Array.from({ length: gate.length / hidden }, (_, row) => {
      const first = row * hidden;
      const gateSum = dot(hidden, { data: gate, first }, x, biases?.gate[row]);
      const upSum = dot(hidden, { data: up, first }, x, biases?.up[row]);
      return gated(gateSum, upSum, activation);
    }),
  );
}
