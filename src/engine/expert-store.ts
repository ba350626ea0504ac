import type { ExpertCache, Load } from "../experts/expert-cache.ts";
import type { ReadPriority } from "../storage/byte-source.ts";
import type { Records } from "./records.ts";

/** Where an expert's record came from before it went to the GPU. */
export interface StoreCounters {
  readonly bytesUploaded: number;
}

/** Where experts lie to be computed with. The cache says which one is in which slot. */
export interface ExpertSlots {
  /** Puts a record into a slot, behind all that was begun to be computed. */
  upload(pool: number, slot: number, record: Uint8Array<ArrayBuffer>): void;
  /**
   * Gives the pools other numbers of slots, and keeps what fits. The policy chooses what leaves. Between passes, with no
   * load under way. Throws "out-of-memory" and goes back to the old slots, less what has left them.
   */
  resize(slotCounts: readonly number[]): Promise<void>;
  dispose(): void;
}

/**
 * The way of records to where they are computed with: the cache says what goes where, `Records` get them, the slots hold
 * them. Owned by the engine, which calls `dispose`.
 */
export class ExpertStore {
  readonly records: Records;
  readonly #cache: ExpertCache;
  readonly #slots: ExpertSlots;
  readonly #landings = new Map<string, Promise<void>>();
  #bytesUploaded = 0;

  constructor(cache: ExpertCache, records: Records, slots: ExpertSlots) {
    this.records = records;
    this.#cache = cache;
    this.#slots = slots;
  }

  get counters(): StoreCounters {
    return { bytesUploaded: this.#bytesUploaded };
  }

  /** Records what a pass chose, in every tier. */
  use(pool: number, experts: Uint32Array): void {
    this.#cache.use(pool, experts);
    this.records.tiers.use(pool, experts);
  }

  /** Whether a load would need no waiting. */
  inRam(pool: number, expert: number): boolean {
    return this.records.inRam(pool, expert);
  }

  /** Carries out a load that was begun in the cache, of an expert that is in RAM: it is ready when this returns. */
  loadNow(pool: number, { expert, slot }: Load): void {
    this.#upload(pool, expert, slot, this.records.fromRam(pool, expert));
  }

  /**
   * Carries out a load that was begun in the cache: it ends in `commit`, or in `abort` and the error.
   * Throws what the source throws, and "aborted" after `stop`.
   */
  load(pool: number, load: Load, priority: ReadPriority): Promise<void> {
    const key = `${pool}/${load.expert}`;
    const landing = this.#load(pool, load, priority).finally(() => this.#landings.delete(key));
    this.#landings.set(key, landing);
    return landing;
  }

  /** Hurries a load that somebody began, and resolves when it has ended, well or not. */
  async landed(pool: number, expert: number): Promise<void> {
    this.records.hurry(pool, expert);
    await this.#landings.get(`${pool}/${expert}`)?.catch(() => {});
  }

  /** Fetches what a pool will want and is only at the source into RAM, as far as there is room, behind what is needed now. */
  warm(pool: number | undefined): void {
    if (pool === undefined) return;
    for (let expert = 0; expert < this.#cache.experts; expert++) {
      if (this.#cache.state(pool, expert) !== "absent") continue;
      if (this.records.tiers.locate(pool, expert) !== "source") continue;
      if (!this.records.hasRoom("ram", pool)) return;
      // If the source is gone for good, the layer that needs the expert says so.
      void this.records.get(pool, expert, "prefetch").catch(() => {});
    }
  }

  /** Gives up the loads that are under way, and waits until none is. */
  async stop(): Promise<void> {
    this.records.stop();
    while (this.#landings.size > 0) await Promise.allSettled(this.#landings.values());
  }

  /** Gives the pools other numbers of slots: see {@link ExpertSlots}. */
  resize(slotCounts: readonly number[]): Promise<void> {
    return this.#slots.resize(slotCounts);
  }

  dispose(): void {
    this.#slots.dispose();
  }

  async #load(pool: number, { expert, slot }: Load, priority: ReadPriority): Promise<void> {
    try {
      this.#upload(pool, expert, slot, await this.records.get(pool, expert, priority));
    } catch (error) {
      this.#cache.abort(pool, expert);
      throw error;
    }
  }

  #upload(pool: number, expert: number, slot: number, record: Uint8Array<ArrayBuffer>): void {
    this.#slots.upload(pool, slot, record);
    this.#bytesUploaded += record.length;
    this.#cache.commit(pool, expert);
  }
}
