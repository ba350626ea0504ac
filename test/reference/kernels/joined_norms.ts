import type { Bounded } from "../../helpers/within.ts";
import {
  bounded,
  DIVISION,
  exact,
  INVERSE_SQRT,
  ROUNDING,
  sumOf,
  times,
  type Value,
} from "./bounds.ts";
import { type Finish, finished, rmsNormReference } from "./rms_norm.ts";

/** What is normalised and by which weights `[width]`; a and b `[tokens, width]`. */
export interface JoinedInputs {
  readonly a: ArrayLike<number>;
  readonly b: ArrayLike<number>;
  readonly weightA: ArrayLike<number>;
  readonly weightB: ArrayLike<number>;
  readonly weight: ArrayLike<number>;
}

/** `norm(norm(a) * weightA + norm(b) * weightB) * weight`, and what `finish` says. */
export function joinedNormsReference(
  { a, b, weightA, weightB, weight }: JoinedInputs,
  epsilon: number,
  finish: Finish,
): Bounded {
  const width = weight.length;
  const normed = [rmsNormReference(a, weightA, epsilon), rmsNormReference(b, weightB, epsilon)];
  const sums = Array.from({ length: a.length }, (_, index) =>
    sumOf(normed.map((each) => ({ value: each.values[index]!, bound: each.bounds[index]! }))),
  );
  return bounded(
    sums.map((sum, index) => {
      const first = index - (index % width);
      const scale = scaleOf(sums.slice(first, first + width), epsilon);
      const value = times(times(sum, scale), exact(weight[index % width]!));
      return finished(value, index, finish);
    }),
  );
}

/** `1 / sqrt(mean(x²) + epsilon)` of numbers that carry errors. */
export function scaleOf(row: readonly Value[], epsilon: number): Value {
  let squares = 0;
  let error = 0;
  for (const { value, bound } of row) {
    squares += value ** 2;
    error += 2 * Math.abs(value) * bound + bound ** 2;
  }
  const mean = squares / row.length + epsilon;
  const value = 1 / Math.sqrt(mean);
  const carried = 1 / Math.sqrt(mean - error / row.length) - value;
  // As `rmsScale` rounds.
  const relative = ((row.length + 1) * ROUNDING + DIVISION) / 2 + INVERSE_SQRT;
  return { value, bound: carried + relative * (value + carried) };
}
