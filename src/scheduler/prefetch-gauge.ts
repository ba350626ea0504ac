import type { ExpertCache } from "../experts/expert-cache.ts";
import type { ExpertGuess } from "../experts/predictors/predictor.ts";
import type { Prefetch } from "./prefetch.ts";

/** Passes over which a predictor is judged. */
const WINDOW_PASSES = 64;

/** How long it rests after the first window that did not pay; twice as long after each one more in a row. */
const REST_PASSES = 256;
const MAX_REST_PASSES = 16 * REST_PASSES;

/** What a fault and a byte cost, in milliseconds: measured, or those of a cost model. */
export interface PrefetchCosts {
  /** A fault, without its loads. */
  readonly faultMs: number;
  /** A byte on its way to the GPU. */
  readonly msPerByte: number;
}

/** What came of prefetches since the gauge was made. */
export interface PrefetchCounters {
  /** Loads begun on a guess. */
  readonly issued: number;
  /** Of those, experts that were there when a pass chose them for the first time. */
  readonly used: number;
  /** Experts that were asked for while on their way. */
  readonly late: number;
  /** Experts that were evicted before any pass chose them. */
  readonly wasted: number;
  readonly issuedBytes: number;
  readonly wastedBytes: number;
  /** Choices that were absent only because a prefetch had evicted them. */
  readonly displaced: number;
  /** Layers of a pass that had nothing absent, thanks to prefetches. */
  readonly faultsAvoided: number;
  /** Share of the choices absent without prefetch that were named in time; undefined before there was one. */
  readonly recall: number | undefined;
}

/** How a {@link PrefetchGauge} is made. */
export interface PrefetchGaugeOptions {
  readonly cache: ExpertCache;
  /** The pool of each MoE layer. */
  readonly pools: readonly number[];
  /** Bytes of a record, for each pool. */
  readonly recordBytes: readonly number[];
  /** An exact predictor is never switched off. */
  readonly exact?: boolean;
}

/**
 * Counts what prefetches are worth, and says whether a guessing predictor may go on.
 *
 * It looks at the cache only at three moments, so that the engine and the simulator see the same: when prefetches are
 * begun (`issued`), when a layer's choice is known (`asked`, before `ExpertCache.use` and before any load for it), and
 * at the end of a pass. A prefetch ends at its first use, when it is asked for too early, or when it is gone, whichever
 * comes first, and counts once.
 *
 * Over a window of passes a predictor pays if
 *
 *     (faults avoided - faults caused) * fault  >  (bytes moved for nothing + bytes to bring back) * ms a byte
 *
 * Bytes that were used in the end would have been moved anyway and stand on neither side. A window in which nothing was
 * begun says nothing.
 */
export class PrefetchGauge {
  readonly #cache: ExpertCache;
  readonly #pools: readonly number[];
  readonly #recordBytes: readonly number[];
  readonly #exact: boolean;
  /** Prefetched and not chosen since. By `pool * experts + expert`, as are the next two. */
  readonly #unused = new Set<number>();
  /** Evicted for a prefetch and neither chosen nor loaded since. */
  readonly #displaced = new Set<number>();
  /** Named for the pass under way. */
  readonly #named = new Set<number>();
  readonly #counts = {
    issued: 0,
    used: 0,
    late: 0,
    wasted: 0,
    issuedBytes: 0,
    wastedBytes: 0,
    displaced: 0,
    faultsAvoided: 0,
  };
  #absentWithout = 0;
  #absentNamed = 0;
  #window = emptyWindow();
  #passes = 0;
  #restUntil = 0;
  #restPasses = REST_PASSES;

  constructor({ cache, pools, recordBytes, exact = false }: PrefetchGaugeOptions) {
    this.#cache = cache;
    this.#pools = pools;
    this.#recordBytes = recordBytes;
    this.#exact = exact;
  }

  /** Whether guesses should be made and followed now. */
  get enabled(): boolean {
    return this.#exact || this.#passes >= this.#restUntil;
  }

  get counters(): PrefetchCounters {
    const recall = this.#absentWithout > 0 ? this.#absentNamed / this.#absentWithout : undefined;
    return { ...this.#counts, recall };
  }

  /** Whether an expert was brought by a prefetch and not chosen since. */
  isUnused(pool: number, expert: number): boolean {
    return this.#unused.has(this.#key(pool, expert));
  }

  /** What the predictor named for the pass under way, whether or not it led to a load. */
  guessed(guesses: readonly ExpertGuess[]): void {
    for (const { moe, expert } of guesses) this.#named.add(this.#key(this.#pools[moe]!, expert));
  }

  /** Prefetches were begun: what `planPrefetch` returned. */
  issued(prefetches: readonly Prefetch[]): void {
    for (const { pool, load } of prefetches) {
      const key = this.#key(pool, load.expert);
      if (load.evicts !== undefined) {
        const victim = this.#key(pool, load.evicts);
        if (!this.#waste(victim)) this.#displaced.add(victim);
      }
      this.#waste(key); // one of its own that was evicted by others, and is named again
      this.#displaced.delete(key);
      this.#unused.add(key);
      this.#counts.issued++;
      this.#counts.issuedBytes += this.#recordBytes[pool]!;
      this.#window.issued++;
    }
  }

  /** The load of a prefetch failed: it does not count as wasted. */
  failed(pool: number, expert: number): void {
    this.#unused.delete(this.#key(pool, expert));
  }

  /** The choice of MoE layer `moe` is known: its experts, with repetitions. */
  asked(moe: number, experts: Iterable<number>): void {
    const pool = this.#pools[moe]!;
    let absent = 0;
    let absentWithout = 0;
    let caused = 0;
    for (const expert of new Set(experts)) {
      const key = this.#key(pool, expert);
      const state = this.#cache.state(pool, expert);
      if (state === "absent") this.#waste(key);
      const brought = this.#unused.delete(key);
      if (state !== "ready") absent++;
      if (brought) this.#counts[state === "ready" ? "used" : "late"]++;
      const displaced = this.#displaced.delete(key) && state === "absent";
      if (displaced) caused++;
      if ((state !== "ready" && !displaced) || brought) {
        absentWithout++;
        if (this.#named.has(key) || brought) this.#absentNamed++;
      }
    }
    this.#absentWithout += absentWithout;
    this.#counts.displaced += caused;
    this.#window.broughtBackBytes += caused * this.#recordBytes[pool]!;
    if (absent === 0 && absentWithout > 0) {
      this.#counts.faultsAvoided++;
      this.#window.faultsAvoided++;
    }
    if (absent > 0 && absentWithout === 0) this.#window.faultsCaused++;
  }

  /** A pass is over. At the end of a window the predictor is judged by `costs`. */
  endPass(costs: PrefetchCosts): void {
    const guessed = this.enabled;
    this.#named.clear();
    this.#passes++;
    for (const key of [...this.#unused]) {
      if (this.#state(key) === "absent") this.#waste(key);
    }
    for (const key of [...this.#displaced]) {
      if (this.#state(key) !== "absent") this.#displaced.delete(key);
    }
    if (!guessed || ++this.#window.passes < WINDOW_PASSES) return;
    this.#judge(costs);
    this.#window = emptyWindow();
  }

  #judge({ faultMs, msPerByte }: PrefetchCosts): void {
    const { issued, faultsAvoided, faultsCaused, wastedBytes, broughtBackBytes } = this.#window;
    if (issued === 0) return;
    const gainMs = (faultsAvoided - faultsCaused) * faultMs;
    const lossMs = (wastedBytes + broughtBackBytes) * msPerByte;
    if (gainMs > lossMs) {
      this.#restPasses = REST_PASSES;
      return;
    }
    this.#restUntil = this.#passes + this.#restPasses;
    this.#restPasses = Math.min(2 * this.#restPasses, MAX_REST_PASSES);
  }

  /** Counts a prefetch as wasted, if it is one that nobody used. */
  #waste(key: number): boolean {
    if (!this.#unused.delete(key)) return false;
    const bytes = this.#recordBytes[this.#poolOf(key)]!;
    this.#counts.wasted++;
    this.#counts.wastedBytes += bytes;
    this.#window.wastedBytes += bytes;
    return true;
  }

  #state(key: number) {
    return this.#cache.state(this.#poolOf(key), key % this.#cache.experts);
  }

  #poolOf(key: number): number {
    return Math.floor(key / this.#cache.experts);
  }

  #key(pool: number, expert: number): number {
    return pool * this.#cache.experts + expert;
  }
}

function emptyWindow() {
  return {
    passes: 0,
    issued: 0,
    faultsAvoided: 0,
    faultsCaused: 0,
    wastedBytes: 0,
    broughtBackBytes: 0,
  };
}
