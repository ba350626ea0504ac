import type { ExpertCache, Load } from "../experts/expert-cache.ts";
import type { ExpertGuess } from "../experts/predictors/predictor.ts";

/** Guesses less probable than this move more bytes for nothing than they save. */
export const PREFETCH_MIN_PROBABILITY = 0.25;

/** What to plan prefetches from. */
export interface PrefetchRequest {
  readonly cache: ExpertCache;
  /** The pool of each MoE layer. */
  readonly pools: readonly number[];
  /** Most probable first. */
  readonly guesses: readonly ExpertGuess[];
  /** Loads that may be under way in a pool at once, those of others included. */
  readonly limitPerPool: number;
  /** Guesses less probable than this are passed over. */
  readonly minProbability: number;
}

/** A load that was begun in the cache on a guess: to be carried out, then committed or aborted. */
export interface Prefetch {
  readonly pool: number;
  readonly load: Load;
}

/**
 * Begins to load what is guessed and absent, the most probable first. A slot comes from the empty ones or from the
 * expert that the policy ranks last of those that nobody pins, loads or guesses: a guess never makes another one leave.
 * What finds no slot is left out.
 */
export function planPrefetch(request: PrefetchRequest): readonly Prefetch[] {
  const { cache, limitPerPool } = request;
  const wanted = distinct(request);
  for (const { pool, expert } of wanted) cache.pin(pool, expert);
  const prefetches: Prefetch[] = [];
  for (const { pool, expert } of wanted) {
    if (cache.state(pool, expert) !== "absent") continue;
    if (cache.loading(pool).length >= limitPerPool) continue;
    const load = cache.beginLoad(pool, expert);
    if (load) prefetches.push({ pool, load });
  }
  for (const { pool, expert } of wanted) cache.release(pool, expert);
  return prefetches;
}

/** The guesses worth a load, each expert once: layers that share a pool may name the same one. */
function distinct({ cache, pools, guesses, minProbability }: PrefetchRequest) {
  const seen = new Map<number, { pool: number; expert: number }>();
  for (const { moe, expert, probability } of guesses) {
    if (probability < minProbability) continue;
    const pool = pools[moe];
    if (pool === undefined) throw new Error(`unreachable: a guess for MoE layer ${moe}`);
    const key = pool * cache.experts + expert;
    if (!seen.has(key)) seen.set(key, { pool, expert });
  }
  return [...seen.values()];
}
