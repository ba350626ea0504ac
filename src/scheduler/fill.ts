import type { ExpertCache } from "../experts/expert-cache.ts";

/**
 * What the background should load next into an empty slot: in the first pool that has one, the absent expert used most
 * so far, ties to the lowest index; undefined when there is nothing to do. It never evicts.
 */
export function nextFill(cache: ExpertCache): { pool: number; expert: number } | undefined {
  for (let pool = 0; pool < cache.pools; pool++) {
    if (cache.emptySlots(pool) === 0) continue;
    const expert = hottestAbsent(cache, pool);
    if (expert !== undefined) return { pool, expert };
  }
  return undefined;
}

function hottestAbsent(cache: ExpertCache, pool: number): number | undefined {
  let best: number | undefined;
  for (let expert = 0; expert < cache.experts; expert++) {
    if (cache.state(pool, expert) !== "absent") continue;
    if (best === undefined || cache.uses(pool, expert) > cache.uses(pool, best)) best = expert;
  }
  return best;
}
