import type { ExpertCache, Load } from "../experts/expert-cache.ts";
import type { GpuContext } from "../gpu/device.ts";
import type { ExpertArenas } from "../ops/gpu-resources.ts";
import type { ReadPriority } from "../storage/byte-source.ts";
import { Arenas } from "./expert-arenas.ts";
import type { PoolLayout } from "./pool-layout.ts";
import type { Records } from "./records.ts";

/** Where an expert's record came from before it went to the GPU. */
export interface StoreCounters {
  readonly bytesUploaded: number;
}

/**
 * The way of records to the GPU: the cache says what goes where, `Records` get them, `Arenas` hold them. Owned by the
 * engine, which calls `dispose`.
 */
export class ExpertStore {
  readonly records: Records;
  readonly #cache: ExpertCache;
  readonly #arenas: Arenas;
  readonly #landings = new Map<string, Promise<void>>();
  #bytesUploaded = 0;

  constructor(
    context: GpuContext,
    pools: readonly PoolLayout[],
    cache: ExpertCache,
    records: Records,
  ) {
    this.records = records;
    this.#cache = cache;
    this.#arenas = new Arenas(context, pools, cache);
  }

  get counters(): StoreCounters {
    return { bytesUploaded: this.#bytesUploaded };
  }

  /** A pool's slots, as kernels bind them. */
  arenas(pool: number): ExpertArenas {
    return this.#arenas.of(pool);
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

  /** Writes zeros into the first slot of a pool as if they were a record, to see how long it takes. Not once one is there. */
  uploadNothing(pool: number): void {
    const { slotWords } = this.#arenas.of(pool);
    this.#arenas.upload(pool, 0, new Uint8Array(4 * slotWords));
  }

  /** Writes what is no record into a slot, for kernels to be timed with. Not once a record is there. */
  uploadNoise(pool: number, slot: number, noise: Uint8Array<ArrayBuffer>): void {
    this.#arenas.upload(pool, slot, noise);
  }

  /** Gives up the loads that are under way, and waits until none is. */
  async stop(): Promise<void> {
    this.records.stop();
    while (this.#landings.size > 0) await Promise.allSettled(this.#landings.values());
  }

  /** Gives the pools other numbers of slots: see `Arenas.resize`. */
  resize(slotCounts: readonly number[]): Promise<void> {
    return this.#arenas.resize(slotCounts);
  }

  dispose(): void {
    this.#arenas.dispose();
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
    this.#arenas.upload(pool, slot, record);
    this.#bytesUploaded += record.length;
    this.#cache.commit(pool, expert);
  }
}
