import { compareScores, DEFAULT_HALF_LIFE_PASSES, DecayedFrequency } from "./decayed-frequency.ts";
import { type EvictionPolicy, firstToLeave, type PolicyContext } from "./policy.ts";
import { Recency } from "./recency.ts";

/**
 * Evicts the expert whose return is expected to cost least: probability of use × cost of reloading it. The probability
 * is that of `lfu-decayed`; with equal costs the two policies are one. Ties go to the cheaper one, then to the one used
 * less, then to the one used longest ago, then to the lowest index.
 *
 * Costs differ where records do (a Q4_K_M file mixes types) and where the tiers below do: a record that is still in RAM
 * comes back in a fraction of the time of one that only the network has.
 * Source: GreedyDual-Size-Frequency (Cherkasova, 1998) with decayed counts in place of its ageing term.
 */
export function costAware(
  context: PolicyContext,
  halfLifePasses = DEFAULT_HALF_LIFE_PASSES,
): EvictionPolicy {
  const { experts, reloadCost = () => 1 } = context;
  const frequency = new DecayedFrequency(context, halfLifePasses);
  const recency = new Recency(experts);

  return {
    onUse(used) {
      frequency.use(used);
      recency.use(used);
    },
    victim(candidates) {
      const costs = new Map(candidates.map((expert) => [expert, reloadCost(expert)]));
      const lossOf = (expert: number) => frequency.score(expert) + Math.log2(costs.get(expert)!);
      const losses = new Map(candidates.map((expert) => [expert, lossOf(expert)]));
      return firstToLeave(
        candidates,
        (a, b) =>
          compareScores(losses.get(a)!, losses.get(b)!) ||
          compareScores(costs.get(a)!, costs.get(b)!) ||
          compareScores(frequency.score(a), frequency.score(b)) ||
          recency.compare(a, b),
      );
    },
  };
}
