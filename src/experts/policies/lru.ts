import { type EvictionPolicy, firstToLeave, type PolicyContext } from "./policy.ts";
import { Recency } from "./recency.ts";

/** Evicts the expert that was used longest ago; of those never used, the lowest index. */
export function lru({ experts }: PolicyContext): EvictionPolicy {
  const recency = new Recency(experts);
  return {
    onUse: (used) => recency.use(used),
    victim: (candidates) => firstToLeave(candidates, (a, b) => recency.compare(a, b)),
  };
}
