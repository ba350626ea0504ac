import type { ExpertCache } from "../experts/expert-cache.ts";
import { nextFill } from "../scheduler/fill.ts";
import type { ExpertStore } from "./expert-store.ts";

/** Loads at once: enough to hide a source's latency, few enough that a fault's loads are not held up. */
const PARALLEL_LOADS = 4;

/**
 * Loads experts into empty slots in the background, never evicting. A load that fails ends the filling: if the source is
 * gone for good, the fault that needs the expert says so.
 */
export class Filler {
  readonly #cache: ExpertCache;
  readonly #store: ExpertStore;
  #running: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;
  #filled = 0;

  constructor(cache: ExpertCache, store: ExpertStore) {
    this.#cache = cache;
    this.#store = store;
  }

  /** Experts that were loaded ahead of any need. */
  get filled(): number {
    return this.#filled;
  }

  start(): void {
    if (this.#running) return;
    const stop = new AbortController();
    const lanes = Array.from({ length: PARALLEL_LOADS }, () => this.#run(stop.signal));
    this.#running = { stop, done: Promise.all(lanes).then(() => {}) };
  }

  /** Resolves when there is nothing left to fill. */
  async done(): Promise<void> {
    await this.#running?.done;
  }

  /** Stops, and waits until no load of its own is under way. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    running?.stop.abort();
    await running?.done;
  }

  async #run(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        const next = nextFill(this.#cache);
        const load = next && this.#cache.beginLoad(next.pool, next.expert);
        if (!next || !load) return;
        await this.#store.load(next.pool, load, signal);
        this.#filled++;
      }
    } catch {
      // The cache has taken the load back; see the class comment.
    }
  }
}
