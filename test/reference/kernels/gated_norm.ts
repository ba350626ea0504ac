import type { Bounded } from "../../helpers/within.ts";
import { bounded, DIVISION, exact, INVERSE_SQRT, sumOf, times, type Value } from "./bounds.ts";
import { gated } from "./gated_unit.ts";

/** RMS norm of `silu(gates) * x` over each run of `width`. x and gates [tokens, groups, width], weight [groups, width] */
export function gatedNormReference(
  x: ArrayLike<number>,
  gates: ArrayLike<number>,
  weight: ArrayLike<number>,
  { width, epsilon }: { readonly width: number; readonly epsilon: number },
): Bounded {
  const values = Array.from(x, (value, i) => gated(exact(gates[i]!), exact(value), "silu"));
  const results: Value[] = [];
  for (let first = 0; first < values.length; first += width) {
    const run = values.slice(first, first + width);
    const scale = inverseRoot(run, epsilon);
    for (const [i, value] of run.entries()) {
      results.push(times(times(value, scale), exact(weight[(first + i) % weight.length]!)));
    }
  }
  return bounded(results);
}

/** `1 / sqrt(mean(v²) + epsilon)` */
function inverseRoot(run: readonly Value[], epsilon: number): Value {
  const squares = sumOf(run.map((value) => times(value, value)));
  const mean = squares.value / run.length;
  const off = squares.bound / run.length + DIVISION * mean;
  const sum = sumOf([{ value: mean, bound: off }, exact(epsilon)]);
  const value = 1 / Math.sqrt(sum.value);
  // The error of a root is half that of what is below it, and its curve bends towards more.
  const relative = 1 / Math.sqrt(1 - Math.min(0.5, sum.bound / sum.value)) - 1 + INVERSE_SQRT;
  return { value, bound: relative * value };
}
