import type { ExpertCache, Load } from "./expert-cache.ts";

/** What must be there before a round is computed. */
export interface DemandRound {
  /** Begun in the cache for this round: to be carried out, then committed or aborted. */
  readonly loads: readonly Load[];
  /** Experts that somebody else is loading: to be waited for, not loaded. */
  readonly waits: readonly number[];
}

/**
 * Serves what one pass wants of one pool in rounds, each expert in exactly one: first those that are ready, so that
 * they are computed while others load, then the rest, the most wanted first, as many at a time as there is room for.
 *
 * For each round: `next()`, carry out its loads and waits, then `dispatch()`. Later rounds may take the slots of
 * earlier ones, but those of other passes first, and none where all are held. Everything wanted is pinned until then, or
 * until `close()`.
 */
export class Demand {
  readonly #cache: ExpertCache;
  readonly #pool: number;
  #wanted: readonly number[]; // not computed yet, most wanted first
  #computed: number[] = []; // computed and still pinned
  #inRound = false;
  readonly #holds: boolean;

  /**
   * @param ids the experts of all pairs of the pass, with repetitions
   * @param holds all of them stay where they are until `close()`: there must be slots for them
   */
  constructor(cache: ExpertCache, pool: number, ids: Iterable<number>, holds = false) {
    this.#holds = holds;
    this.#cache = cache;
    this.#pool = pool;
    this.#wanted = mostWantedFirst(ids);
    for (const expert of this.#wanted) cache.pin(pool, expert);
  }

  /** The next round, or undefined when everything is computed. */
  next(): DemandRound | undefined {
    if (this.#inRound) throw new Error("unreachable: next() before dispatch()");
    if (this.#wanted.length === 0) {
      if (!this.#holds) this.close();
      return undefined;
    }

    this.#inRound = true;
    if (this.#wantedIn("ready").length > 0) return { loads: [], waits: [] };
    const waits = this.#wantedIn("loading");
    const loads = this.#beginLoads();
    return loads.length + waits.length > 0 ? { loads, waits } : this.#waitForRoom();
  }

  /**
   * Ends the round: the experts that it computes, which are ready and stay so until they have been submitted. An expert
   * whose load failed is not among them and comes in a later round.
   */
  dispatch(): readonly number[] {
    if (!this.#inRound) throw new Error("unreachable: dispatch() before next()");
    const ready = this.#wantedIn("ready");
    this.#wanted = this.#wanted.filter((expert) => !ready.includes(expert));
    this.#computed.push(...ready);
    this.#inRound = false;
    return ready;
  }

  /** Takes back every pin, whether or not all was computed. Loads under way must still be committed or aborted. */
  close(): void {
    this.#releaseComputed();
    for (const expert of this.#wanted) this.#cache.release(this.#pool, expert);
    this.#wanted = [];
    this.#inRound = false;
  }

  #beginLoads(): Load[] {
    const loads: Load[] = [];
    for (const expert of this.#wantedIn("absent")) {
      let load = this.#cache.beginLoad(this.#pool, expert);
      if (!load && this.#computed.length > 0 && !this.#holds) {
        this.#releaseComputed();
        load = this.#cache.beginLoad(this.#pool, expert);
      }
      if (!load) break;
      loads.push(load);
    }
    return loads;
  }

  /** No slot can be had: one will when somebody else's load into this pool has ended. */
  #waitForRoom(): DemandRound {
    const expert = this.#cache.loading(this.#pool)[0];
    if (expert === undefined) {
      throw new Error(`unreachable: every slot of pool ${this.#pool} is pinned by someone else`);
    }
    return { loads: [], waits: [expert] };
  }

  #releaseComputed(): void {
    for (const expert of this.#computed) this.#cache.release(this.#pool, expert);
    this.#computed = [];
  }

  #wantedIn(state: "absent" | "loading" | "ready"): number[] {
    return this.#wanted.filter((expert) => this.#cache.state(this.#pool, expert) === state);
  }
}

/** The distinct experts of `ids` by how often they occur; ties go to the lower index. */
function mostWantedFirst(ids: Iterable<number>): number[] {
  const pairs = new Map<number, number>();
  for (const expert of ids) pairs.set(expert, (pairs.get(expert) ?? 0) + 1);
  return [...pairs].sort((a, b) => b[1] - a[1] || a[0] - b[0]).map(([expert]) => expert);
}
