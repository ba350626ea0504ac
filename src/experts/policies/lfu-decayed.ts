import { compareScores, DEFAULT_HALF_LIFE_PASSES, DecayedFrequency } from "./decayed-frequency.ts";
import { type EvictionPolicy, firstToLeave, type PolicyContext } from "./policy.ts";
import { Recency } from "./recency.ts";

/**
 * Evicts the expert with the smallest sum over its uses of `2^(-age / halfLife)`, age in passes; ties go to the one
 * used longest ago, then to the lowest index. `Infinity` never forgets.
 * Source: openTPU, docs/offload.md.
 */
export function lfuDecayed(
  context: PolicyContext,
  halfLifePasses = DEFAULT_HALF_LIFE_PASSES,
): EvictionPolicy {
  const frequency = new DecayedFrequency(context, halfLifePasses);
  const recency = new Recency(context.experts);

  function leavesBefore(a: number, b: number): number {
    return compareScores(frequency.score(a), frequency.score(b)) || recency.compare(a, b);
  }

  return {
    onUse(experts) {
      frequency.use(experts);
      recency.use(experts);
    },
    victim: (candidates) => firstToLeave(candidates, leavesBefore),
  };
}
