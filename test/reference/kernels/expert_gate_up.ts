import type { ActivationName } from "../../../src/ops/ops.ts";
import type { Bounded } from "../../helpers/within.ts";
import { bounded, dot, type Run } from "./bounds.ts";
import { gated } from "./gated_unit.ts";

/** `act(gate x) * (up x)` of one expert. gate and up [ffn, hidden], x `hidden` numbers */
export function expertGateUpReference(
  gate: ArrayLike<number>,
  up: ArrayLike<number>,
  x: Run,
  hidden: number,
  activation: ActivationName,
): Bounded {
  return bounded(
    Array.from({ length: gate.length / hidden }, (_, row) => {
      const first = row * hidden;
      const gateSum = dot(hidden, { data: gate, first }, x);
      const upSum = dot(hidden, { data: up, first }, x);
      return gated(gateSum, upSum, activation);
    }),
  );
}
