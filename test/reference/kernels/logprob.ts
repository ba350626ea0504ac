import type { Bounded } from "../../helpers/within.ts";
import { bounded, expError, LOG, LOG_NEAR_1, ROUNDING, SMALLEST } from "./bounds.ts";

/** `logits[target] - log(Σ exp(logits))`: the log-probability of `target`. */
export function logprobReference(logits: ArrayLike<number>, target: number): Bounded {
  const all = Array.from(logits);
  const top = all.reduce((a, b) => Math.max(a, b));
  let sum = 0;
  let sumBound = 0;
  for (const logit of all) {
    const below = top - logit;
    const term = Math.exp(-below);
    sum += term;
    // The difference is rounded, which `exp` makes a relative error; what is below the smallest normal may be lost.
    sumBound += term * Math.expm1(below * ROUNDING + expError(below)) + SMALLEST;
  }
  sumBound += all.length * ROUNDING * (sum + sumBound); // in any order of summation
  const log = Math.log(sum);
  const logBound = -Math.log1p(-sumBound / sum) + Math.max(LOG_NEAR_1, LOG * log);
  const own = all[target]! - top;
  const value = own - log;
  const bound = logBound + ROUNDING * (2 * Math.abs(own) + Math.abs(value) + logBound);
  return bounded([{ value, bound }]);
}
