import type { EvictionPolicy } from "./policy.ts";

/** An expert's uses, by the number of the request, ascending, and the first that is still to come. */
interface Uses {
  readonly requests: number[];
  next: number;
}

/**
 * Evicts the expert whose next use is farthest off, knowing all of a pool's requests: no policy misses less as long as
 * every request fits in the slots. For the simulator only.
 * Source: Belady, "A study of replacement algorithms for a virtual-storage computer", 1966.
 */
export function belady(requests: readonly Iterable<number>[]): EvictionPolicy {
  const uses = new Map<number, Uses>();
  requests.forEach((experts, request) => {
    for (const expert of new Set(experts)) {
      const known = uses.get(expert);
      if (known) known.requests.push(request);
      else uses.set(expert, { requests: [request], next: 0 });
    }
  });
  let served = 0;

  function nextUse(expert: number): number {
    const known = uses.get(expert);
    if (!known) return Infinity;
    while (known.requests[known.next]! < served) known.next++;
    return known.requests[known.next] ?? Infinity;
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
