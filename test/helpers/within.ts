import { expect } from "vitest";

/** What a reference gives: values, and how far from each a right result in f32 may be. */
export interface Bounded {
  readonly values: ArrayLike<number>;
  readonly bounds: ArrayLike<number>;
}

/** Fails unless every value is within its bound. NaN fails. */
export function expectWithin(actual: ArrayLike<number>, expected: Bounded): void {
  const { values, bounds } = expected;
  expect(actual.length).toBe(values.length);
  const wrong = Array.from(values).flatMap((value, index) => {
    const error = Math.abs(actual[index]! - value);
    // Not `error > bound`: that is false for NaN.
    if (error <= bounds[index]!) return [];
    return [`[${index}] is ${actual[index]}, wanted ${value} ± ${bounds[index]}`];
  });
  expect(wrong.slice(0, 8), `${wrong.length} of ${values.length} values are wrong`).toEqual([]);
}

/** The greatest distance between two arrays; NaN if any is. */
export function greatestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.NaN;
  let greatest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    if (!(difference <= greatest)) greatest = difference;
  }
  return greatest;
}
