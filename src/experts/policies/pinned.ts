import { type EvictionPolicy, firstToLeave, type PolicyContext } from "./policy.ts";
import { Recency } from "./recency.ts";

/** Of the experts that a policy chooses among. Small beside the shares that caches hold, so that most slots adapt. */
export const DEFAULT_PINNED_SHARE = 1 / 8;

/**
 * Keeps the experts that were used most so far, up to a share of all, and evicts the others by LRU; when only kept ones
 * are left, the one used least often. Counts never decay; ties go to the one used longest ago.
 *
 * It is the static pinning of popularity profiles (Fiddler, ktransformers), with a profile that is learned online:
 * profiles taken from other texts do not carry over. An expert that was never used is never kept.
 */
export function pinned({ experts }: PolicyContext, share = DEFAULT_PINNED_SHARE): EvictionPolicy {
  const most = Math.floor(share * experts);
  const uses = new Float64Array(experts);
  const recency = new Recency(experts);
  const kept = new Set<number>();

  function byUses(a: number, b: number): number {
    return uses[a]! - uses[b]! || recency.compare(a, b);
  }

  /** Counts only grow, so an expert enters the kept ones only when it is used, in place of the least of them. */
  function keep(expert: number): void {
    kept.add(expert);
    if (kept.size > most) kept.delete(firstToLeave([...kept].sort(ascending), byUses));
  }

  return {
    onUse(used) {
      recency.use(used);
      for (const expert of used) uses[expert]!++;
      for (const expert of used) keep(expert);
    },
    victim(candidates) {
      const others = candidates.filter((expert) => !kept.has(expert));
      if (others.length === 0) return firstToLeave(candidates, byUses);
      return firstToLeave(others, (a, b) => recency.compare(a, b));
    },
  };
}

function ascending(a: number, b: number): number {
  return a - b;
}
