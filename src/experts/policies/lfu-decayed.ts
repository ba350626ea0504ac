import type { EvictionPolicy } from "./policy.ts";

/** 16 to 128 differ by less than a point of hit rate. Source: openTPU, docs/offload.md. */
export const DEFAULT_HALF_LIFE_REQUESTS = 32;

/**
 * Evicts the expert with the smallest sum over its uses of `2^(-age / halfLife)`, age in requests of the pool; ties go
 * to the one used longest ago, then to the lowest index. `Infinity` never forgets.
 * Source: openTPU, docs/offload.md.
 */
export function lfuDecayed(halfLifeRequests = DEFAULT_HALF_LIFE_REQUESTS): EvictionPolicy {
  // log2 of the sum as it stood at request 0: every sum decays alike, so only what is used changes.
  const scores = new Map<number, number>();
  const lastUse = new Map<number, number>();
  let requests = 0;
  let clock = 0;

  function leavesBefore(a: number, b: number): boolean {
    const byScore = compare(scores.get(a) ?? -Infinity, scores.get(b) ?? -Infinity);
    return (byScore || compare(lastUse.get(a) ?? 0, lastUse.get(b) ?? 0)) < 0;
  }

  return {
    onUse(experts) {
      const credit = ++requests / halfLifeRequests;
      for (const expert of experts) {
        const score = scores.get(expert) ?? -Infinity;
        scores.set(expert, credit + Math.log2(1 + 2 ** (score - credit)));
        lastUse.set(expert, ++clock);
      }
    },
    victim(candidates) {
      return candidates.reduce((worst, expert) => (leavesBefore(expert, worst) ? expert : worst));
    },
  };
}

/** Negative, 0 or positive, infinities included. */
function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
