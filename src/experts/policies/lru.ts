import type { EvictionPolicy } from "./policy.ts";

/** Evicts the expert that was used longest ago; of those never used, the lowest index. */
export function lru(): EvictionPolicy {
  const lastUse = new Map<number, number>();
  let clock = 0;

  return {
    onUse(experts) {
      for (const expert of experts) lastUse.set(expert, ++clock);
    },
    victim(candidates) {
      return candidates.reduce((oldest, expert) =>
        (lastUse.get(expert) ?? 0) < (lastUse.get(oldest) ?? 0) ? expert : oldest,
      );
    },
  };
}
