import type { Bounded } from "../../helpers/within.ts";
import { bounded, DIVISION, expError, ROUNDING } from "./bounds.ts";

/** `cap * tanh(x / cap)`, elementwise. */
export function softcapReference(x: ArrayLike<number>, cap: number): Bounded {
  return bounded(
    Array.from(x, (value) => {
      const part = value / cap;
      const shrunk = Math.exp(-2 * Math.abs(part));
      // The argument of exp carries the error of a division; above and below the line it counts absolutely.
      const carried = shrunk * (expError(2 * part) + 2 * Math.abs(part) * (DIVISION + ROUNDING));
      const ratio = Math.abs(Math.tanh(part));
      const above = carried + ROUNDING;
      const below = carried + ROUNDING * 2;
      const error = above + ratio * (below + DIVISION + 2 * ROUNDING);
      return { value: cap * Math.tanh(part), bound: cap * error };
    }),
  );
}
