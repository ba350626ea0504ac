import { SluiceError } from "../errors.ts";
import { Demand, type DemandRound } from "../experts/demand.ts";
import type { ExpertCache } from "../experts/expert-cache.ts";
import { ABSENT } from "../experts/page-table.ts";

/** A layer whose router chose experts that are not on the GPU. */
export interface Fault {
  readonly pool: number;
  /** The chosen experts `[tokens, topK]`, best score first. */
  readonly ids: Uint32Array;
  readonly topK: number;
  readonly cache: ExpertCache;
  /** All of them are read at once behind the last round: they stay where they are until the plan is closed. */
  readonly holds?: boolean;
}

/**
 * Plans how a faulted layer is computed. Throws "budget-too-small" when the pool has fewer slots than `topK`.
 *
 * @example
 * const plan = planFault({ pool, ids, topK, cache });
 * try {
 *   for (let round = plan.next(); round; round = plan.next()) {
 *     await Promise.all([...round.loads.map(load), ...round.waits.map(landed)]); // each ends in commit or abort
 *     const slots = plan.dispatch();
 *     if (slots) submitExpertSteps(slots);
 *   }
 * } finally {
 *   plan.close();
 * }
 */
export function planFault(fault: Fault): FaultPlan {
  const { pool, topK, cache } = fault;
  const slots = cache.slotCount(pool);
  if (topK > slots) {
    throw new SluiceError(
      "budget-too-small",
      `Pool ${pool} has ${slots} expert slots but a token uses ${topK} experts: ` +
        `raise the GPU budget to at least ${topK} of ${cache.experts} experts a layer.`,
    );
  }
  return new FaultPlan(fault);
}

/**
 * The rounds of one fault, each planned when the one before it has been dispatched, so that it sees what was loaded
 * meanwhile. Over all rounds every pair (token, k) is computed exactly once. Unless the plan holds them, loads of a round
 * may overwrite slots that earlier rounds read, and must be enqueued after them.
 */
export class FaultPlan {
  readonly #cache: ExpertCache;
  readonly #pool: number;
  readonly #ids: Uint32Array;
  readonly #demand: Demand;

  constructor({ pool, ids, cache, holds = false }: Fault) {
    this.#cache = cache;
    this.#pool = pool;
    this.#ids = ids.slice();
    this.#demand = new Demand(cache, pool, ids, holds);
  }

  /** The next round, or undefined when the layer is done. Its loads are begun in the cache. */
  next(): DemandRound | undefined {
    return this.#demand.next();
  }

  /**
   * The slots of this round's pairs `[tokens, topK]`, ABSENT for pairs of other rounds; undefined when the round has no
   * pair. To be called once its loads and waits have ended. Pairs whose expert failed to load come in a later round.
   */
  dispatch(): Uint32Array | undefined {
    const computed = new Set(this.#demand.dispatch());
    if (computed.size === 0) return undefined;
    return this.#ids.map((expert) =>
      computed.has(expert) ? this.#cache.pageTable.slot(this.#pool, expert) : ABSENT,
    );
  }

  /** Lets go of everything, also in the middle: a pass can be abandoned once its loads are committed or aborted. */
  close(): void {
    this.#demand.close();
  }
}
