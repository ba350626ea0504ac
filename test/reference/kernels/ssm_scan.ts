import type { Bounded } from "../../helpers/within.ts";
import { softplus } from "../recurrent.ts";
import {
  bounded,
  DIVISION,
  exact,
  expError,
  ROUNDING,
  SMALLEST,
  sumOf,
  times,
  type Value,
} from "./bounds.ts";

/** What the scan of Mamba 2 is run on. */
export interface ScanInput {
  readonly heads: number;
  readonly headDim: number;
  readonly groups: number;
  readonly stateDim: number;
  /** [tokens, heads * headDim + 2 * groups * stateDim] */
  readonly x: ArrayLike<number>;
  /** [tokens, heads] */
  readonly times: ArrayLike<number>;
  readonly timeBias: ArrayLike<number>;
  readonly decay: ArrayLike<number>;
  readonly skip: ArrayLike<number>;
  /** [heads, headDim, stateDim] */
  readonly state: ArrayLike<number>;
}

/** The outputs [tokens, heads, headDim], and the state that is left. */
export function ssmScanReference(input: ScanInput): {
  readonly y: Bounded;
  readonly state: Bounded;
} {
  const { heads, headDim, groups, stateDim, x, skip } = input;
  const inner = heads * headDim;
  const width = inner + 2 * groups * stateDim;
  const state = Array.from(input.state, exact);
  const y: Value[] = [];
  for (let token = 0; token < x.length / width; token++) {
    for (let row = 0; row < inner; row++) {
      const head = Math.floor(row / headDim);
      const b = token * width + inner + Math.floor(head / (heads / groups)) * stateDim;
      const c = b + groups * stateDim;
      const dt = timeStep(input.times[token * heads + head]!, input.timeBias[head]!);
      const kept = exponential(times(dt, exact(input.decay[head]!)));
      const u = exact(x[token * width + row]!);
      const terms = [times(exact(skip[head]!), u)];
      for (let i = 0; i < stateDim; i++) {
        const at = row * stateDim + i;
        const added = times(times(dt, u), exact(x[b + i]!));
        state[at] = sumOf([times(kept, state[at]!), added]);
        terms.push(times(state[at]!, exact(x[c + i]!)));
      }
      y.push(sumOf(terms));
    }
  }
  return { y: bounded(y), state: bounded(state) };
}

/** Roundings of the series that the kernel has for a logarithm, and of the sums around it. */
const SERIES_ROUNDINGS = 24;

/** `softplus(time + bias)`: it is nowhere steeper than 1, and its logarithm no more off than the `exp` in it. */
function timeStep(time: number, bias: number): Value {
  const sum = sumOf([exact(time), exact(bias)]);
  const value = softplus(sum.value);
  const logarithm = Math.log1p(Math.exp(-Math.abs(sum.value)));
  const relative = expError(sum.value) + DIVISION + SERIES_ROUNDINGS * ROUNDING;
  return { value, bound: sum.bound + relative * logarithm + ROUNDING * value + SMALLEST };
}

function exponential({ value: exponent, bound }: Value): Value {
  const value = Math.exp(exponent);
  const relative = Math.expm1(bound) + (1 + Math.expm1(bound)) * expError(exponent);
  return { value, bound: relative * value + SMALLEST };
}
