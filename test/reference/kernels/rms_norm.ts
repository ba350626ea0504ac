import type { Bounded } from "../../helpers/within.ts";
import { bounded, DIVISION, INVERSE_SQRT, ROUNDING, type Run, type Value } from "./bounds.ts";

/** What is done to a normalised row besides. */
export interface Finish {
  /** [tokens, width] */
  readonly residual: ArrayLike<number> | undefined;
  readonly scale: number | undefined;
}

/**
 * `x / sqrt(mean(x²) + epsilon) * weight`, each row by itself, and what `finish` says. x [tokens, weight.length]
 */
export function rmsNormReference(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  epsilon: number,
  finish?: Finish,
): Bounded {
  const width = weight.length;
  return bounded(
    Array.from({ length: x.length }, (_, index) => {
      const scale = rmsScale({ data: x, first: index - (index % width) }, width, epsilon);
      const normed = scaled(x[index]!, scale, weight[index % width]!);
      return finish ? finished(normed, index, finish) : normed;
    }),
  );
}

/** `(normed + residual) * scale`: each operation rounds once. */
export function finished(
  { value, bound }: Value,
  index: number,
  { residual, scale = 1 }: Finish,
): Value {
  const sum = value + (residual?.[index] ?? 0);
  const sumBound = bound + ROUNDING * (Math.abs(sum) + bound);
  const whole = scale * sum;
  const carried = Math.abs(scale) * sumBound;
  return { value: whole, bound: carried + ROUNDING * (Math.abs(whole) + carried) };
}

/** `1 / sqrt(mean(x²) + epsilon)` over `width` numbers. */
export function rmsScale({ data, first }: Run, width: number, epsilon: number): Value {
  let squares = 0;
  for (let i = 0; i < width; i++) squares += data[first + i]! ** 2;
  const value = 1 / Math.sqrt(squares / width + epsilon);
  // A root halves the relative error of what is below it: `width` roundings, a division and a sum.
  const relative = ((width + 1) * ROUNDING + DIVISION) / 2 + INVERSE_SQRT;
  return { value, bound: relative * value };
}

/** `x * scale * weight` */
export function scaled(x: number, scale: Value, weight: number): Value {
  const value = x * scale.value * weight;
  return { value, bound: Math.abs(value) * (scale.bound / scale.value + 2 * ROUNDING) };
}
