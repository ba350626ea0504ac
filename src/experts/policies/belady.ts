import type { EvictionPolicy } from "./policy.ts";

/**
 * Evicts the expert whose next use is farthest off, knowing all of a pool's requests: no policy misses less as long as
 * every request fits in the slots. For the simulator only.
 * Source: Belady, "A study of replacement algorithms for a virtual-storage computer", 1966.
 */
export function belady(requests: readonly Iterable<number>[]): EvictionPolicy {
  const uses = new Map<number, number[]>(); // of each expert, ascending
  requests.forEach((experts, request) => {
    for (const expert of new Set(experts)) {
      const known = uses.get(expert);
      if (known) known.push(request);
      else uses.set(expert, [request]);
    }
  });
  let served = 0;

  function nextUse(expert: number): number {
    return uses.get(expert)?.find((request) => request >= served) ?? Infinity;
  }

  return {
    onUse() {
      served++;
    },
    victim(candidates) {
      return candidates.reduce((farthest, expert) =>
        nextUse(expert) > nextUse(farthest) ? expert : farthest,
      );
    },
  };
}
