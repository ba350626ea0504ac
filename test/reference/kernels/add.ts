import type { Bounded } from "../../helpers/within.ts";
import { bounded, DIVISION, expError, ROUNDING, SMALLEST } from "./bounds.ts";

/** `a + sigmoid(gate) * b`, or `a + b` without a gate. a and b [tokens, width], gate [tokens] */
export function addReference(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  width: number,
  gate?: ArrayLike<number>,
): Bounded {
  return bounded(
    Array.from(a, (value, index) => {
      const argument = gate?.[Math.floor(index / width)];
      const share = argument === undefined ? 1 : 1 / (1 + Math.exp(-argument));
      const relative = argument === undefined ? 0 : expError(argument) + ROUNDING + DIVISION;
      const added = share * b[index]!;
      const absolute = argument === undefined ? 0 : SMALLEST * Math.abs(b[index]!);
      const bound = (relative + ROUNDING) * Math.abs(added) + absolute;
      const sum = value + added;
      return { value: sum, bound: bound + ROUNDING * (Math.abs(sum) + bound) };
    }),
  );
}
