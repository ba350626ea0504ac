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

/** A prompt that touches so much of a layer is served sooner by all of it, coming in order, than by what each layer names. */
const MOST_OF_A_LAYER = 0.75;

/** Whether a prompt of `tokens` tokens is likely to want most experts of every layer: each chooses `topK` evenly. */
export function wantsMost(tokens: number, experts: number, topK: number): boolean {
  return 1 - (1 - topK / experts) ** tokens >= MOST_OF_A_LAYER;
}

/**
 * What the background should fetch next for the tiers below the GPU: of the experts that `isWanted` names, the one used
 * most so far, ties to the lowest pool and index; undefined when there is none.
 */
export function nextKept(
  cache: ExpertCache,
  isWanted: (pool: number, expert: number) => boolean,
): { pool: number; expert: number } | undefined {
  let best: { pool: number; expert: number; uses: number } | undefined;
  for (let pool = 0; pool < cache.pools; pool++) {
    for (let expert = 0; expert < cache.experts; expert++) {
      const uses = cache.uses(pool, expert);
      if (best && uses <= best.uses) continue;
      if (isWanted(pool, expert)) best = { pool, expert, uses };
    }
  }
  return best && { pool: best.pool, expert: best.expert };
}

function hottestAbsent(cache: ExpertCache, pool: number): number | undefined {
  let best: number | undefined;
  for (let expert = 0; expert < cache.experts; expert++) {
    if (cache.state(pool, expert) !== "absent") continue;
    if (best === undefined || cache.uses(pool, expert) > cache.uses(pool, best)) best = expert;
  }
  return best;
}
