import type { ActivationName } from "../../../src/ops/ops.ts";
import type { Bounded } from "../../helpers/within.ts";
import { activations } from "../ops.ts";
import { bounded, DIVISION, expError, ROUNDING, SMALLEST, type Value } from "./bounds.ts";

/** `act(gate) * up`, elementwise. */
export function gatedUnitReference(
  gate: ArrayLike<number>,
  up: ArrayLike<number>,
  activation: ActivationName,
): Bounded {
  return bounded(
    Array.from(gate, (value, i) =>
      gated({ value, bound: 0 }, { value: up[i]!, bound: 0 }, activation),
    ),
  );
}

/** `act(gate) * up` of one pair of numbers that carry errors already. */
export function gated(gate: Value, up: Value, activation: ActivationName): Value {
  const active = activate(gate, activation);
  const value = active.value * up.value;
  const carried =
    active.bound * (Math.abs(up.value) + up.bound) + Math.abs(active.value) * up.bound;
  return { value, bound: carried + ROUNDING * (Math.abs(value) + carried) };
}

/** The steepest that silu gets, rounded up. */
const SILU_SLOPE = 1.1;

function activate({ value: x, bound }: Value, activation: ActivationName): Value {
  const value = activations[activation](x);
  if (activation === "relu") return { value, bound };
  const relative = expError(x) + ROUNDING + DIVISION;
  // Below -87, exp(-x) leaves the range in which a division is bounded, and then that of f32.
  return { value, bound: SILU_SLOPE * bound + relative * Math.abs(value) + Math.abs(x) * SMALLEST };
}
