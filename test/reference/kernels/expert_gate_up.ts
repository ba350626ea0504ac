import type { ActivationName } from "../../../src/ops/ops.ts";
import type { Bounded } from "../../helpers/within.ts";
import {
  bounded,
  DIVISION,
  exact,
  expError,
  ROUNDING,
  type Run,
  SMALLEST,
  sumOf,
  type Value,
} from "./bounds.ts";
import { gated } from "./gated_unit.ts";
import { type InputNorm, product } from "./product.ts";

/** What a gated unit is computed with besides its matrices. */
export interface GateUpOptions {
  readonly activation: ActivationName;
  readonly norm?: InputNorm | undefined;
  /** [ffn] each */
  readonly biases?:
    | { readonly gate: ArrayLike<number>; readonly up: ArrayLike<number> }
    | undefined;
}

/**
 * The gated unit of `gate input` and `up input`, each plus its bias, of one network and one token; input is x or its
 * norm. gate and up [ffn, cols], x `cols` numbers
 */
export function gateUpReference(
  gate: ArrayLike<number>,
  up: ArrayLike<number>,
  x: Run,
  cols: number,
  { activation, norm, biases }: GateUpOptions,
): Bounded {
  const biased = (data: ArrayLike<number>, row: number, bias: ArrayLike<number> | undefined) => {
    const sum = product(cols, { data, first: row * cols }, x, norm);
    return bias ? sumOf([sum, exact(bias[row]!)]) : sum;
  };
  return bounded(
    Array.from({ length: gate.length / cols }, (_, row) =>
      gated(biased(gate, row, biases?.gate), biased(up, row, biases?.up), activation),
    ),
  );
}

/** What a token's shared experts count: the sigmoid of `row input`. row and x `row.length` numbers */
export function sharedWeightReference(row: ArrayLike<number>, x: Run, norm?: InputNorm): Bounded {
  const logit = product(row.length, { data: row, first: 0 }, x, norm);
  return bounded([sigmoid(logit)]);
}

function sigmoid({ value, bound }: Value): Value {
  const sigma = 1 / (1 + Math.exp(-value));
  // A logistic is nowhere steeper than itself, nor than a quarter.
  const carried = Math.min(0.25 * bound, Math.expm1(bound) * sigma);
  const rounded = (expError(value) + ROUNDING + DIVISION) * sigma;
  return { value: sigma, bound: carried + rounded + SMALLEST };
}
