import type { ActivationName } from "../../../src/ops/ops.ts";
import type { Bounded } from "../../helpers/within.ts";
import { gatedUnits } from "../ops.ts";
import { bounded, DIVISION, expError, ROUNDING, SMALLEST, type Value } from "./bounds.ts";

/** The gated unit of an activation, elementwise. */
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

/** The gated unit of one pair of numbers that carry errors already. */
export function gated(gate: Value, up: Value, activation: ActivationName): Value {
  const [active, passed] = factorsOf(gate, up, activation);
  const value = gatedUnits[activation](gate.value, up.value);
  const carried =
    active.bound * (Math.abs(passed.value) + passed.bound) + Math.abs(active.value) * passed.bound;
  return { value, bound: carried + ROUNDING * (Math.abs(value) + carried) };
}

/** What a gated unit multiplies. */
function factorsOf(gate: Value, up: Value, activation: ActivationName): [Value, Value] {
  switch (activation) {
    case "relu":
      return [{ value: Math.max(0, gate.value), bound: gate.bound }, up];
    case "silu":
      return [weighed(gate, { argument: gate.value, roundings: 0 }), up];
    case "gelu": {
      const argument = 2 * Math.sqrt(2 / Math.PI) * (gate.value + 0.044715 * gate.value ** 3);
      return [weighed(gate, { argument, roundings: 7 }), up];
    }
    case "swiglu-oai": {
      const x = { value: Math.min(gate.value, 7), bound: gate.bound };
      const y = Math.max(-7, Math.min(up.value, 7)) + 1;
      return [
        weighed(x, { argument: 1.702 * x.value, roundings: 2 }),
        { value: y, bound: up.bound + ROUNDING * (Math.abs(y) + up.bound) },
      ];
    }
  }
}

/** The steepest that a number times its sigmoid gets, of silu, gelu and swiglu-oai, rounded up. */
const SLOPE = 1.13;

/** `x * sigmoid(argument)`, whose argument was rounded so many times. */
function weighed(
  { value: x, bound }: Value,
  { argument, roundings }: { argument: number; roundings: number },
): Value {
  const exp = Math.exp(-argument);
  const value = x / (1 + exp);
  // What is wrong with exp(-argument) counts as far as it decides the sum.
  const share = exp === Number.POSITIVE_INFINITY ? 1 : exp / (1 + exp);
  const wrong = expError(argument) + roundings * ROUNDING * Math.abs(argument);
  const relative = wrong * share + ROUNDING + DIVISION;
  // Below -87, exp leaves the range in which a division is bounded, and then that of f32.
  return { value, bound: SLOPE * bound + relative * Math.abs(value) + Math.abs(x) * SMALLEST };
}
