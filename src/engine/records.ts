import type { LowerTier, LowerTiers, RecordId } from "../experts/lower-tiers.ts";
import type { GgufFile } from "../gguf/gguf.ts";
import type { ReadPriority } from "../storage/byte-source.ts";
import type { RecordStore } from "../storage/store/record-store.ts";
import { type PoolLayout, raiseRecord, readRecord } from "./pool-layout.ts";

/** What was done to get records since the start. */
export interface RecordCounters {
  readonly fromRam: number;
  readonly fromDisk: number;
  readonly fromSource: number;
  readonly diskBytesRead: number;
}

/** What {@link Records} stand on; all of it is the engine's. */
export interface RecordParts {
  readonly file: GgufFile;
  readonly pools: readonly PoolLayout[];
  /** Experts of a pool. */
  readonly experts: number;
  /** Whether an expert is on the GPU or on its way there. */
  readonly onGpu: (pool: number, expert: number) => boolean;
  readonly tiers: LowerTiers;
  /** Undefined where nothing is kept on disk. */
  readonly disk: RecordStore | undefined;
}

/**
 * The tiers below the GPU: gets the record of an expert from RAM, disk or the source, whichever is nearest, and keeps it
 * in the others as their budgets allow. Bookkeeping is `LowerTiers`'; the bytes are here.
 */
export class Records {
  readonly tiers: LowerTiers;
  readonly #file: GgufFile;
  readonly #pools: readonly PoolLayout[];
  readonly #disk: RecordStore | undefined;
  readonly #ram = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly #coming = new Map<string, Promise<Uint8Array<ArrayBuffer>>>();
  readonly #writes = new Set<Promise<void>>();
  readonly #counters = { fromRam: 0, fromDisk: 0, fromSource: 0, diskBytesRead: 0 };
  #stop = new AbortController();

  readonly #experts: number;
  readonly #onGpu: RecordParts["onGpu"];

  constructor({ file, pools, experts, onGpu, tiers, disk }: RecordParts) {
    this.#onGpu = onGpu;
    this.#file = file;
    this.#experts = experts;
    this.#pools = pools;
    this.tiers = tiers;
    this.#disk = disk;
    for (const { pool, expert } of this.#all()) {
      if (!disk?.has(keyOf(pool, expert))) continue;
      const admitted = tiers.admit("disk", pool, expert);
      this.#removeFromDisk(admitted ? admitted.evicted : [{ pool, expert }]);
    }
  }

  get counters(): RecordCounters {
    return { ...this.#counters };
  }

  /** Whether a record can be had at once. */
  inRam(pool: number, expert: number): boolean {
    return this.#ram.has(keyOf(pool, expert));
  }

  /** The record of an expert that is in RAM; the caller only reads it. */
  fromRam(pool: number, expert: number): Uint8Array<ArrayBuffer> {
    const record = this.#ram.get(keyOf(pool, expert));
    if (!record) throw new Error(`unreachable: expert ${expert} of pool ${pool} is not in RAM`);
    this.#counters.fromRam++;
    return record;
  }

  /**
   * The record of an expert, which the caller only reads. Two calls for one expert share what is under way.
   * Throws what the source throws, and "aborted" after `stop`.
   */
  async get(
    pool: number,
    expert: number,
    priority: ReadPriority,
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (this.inRam(pool, expert)) return this.fromRam(pool, expert);
    const key = keyOf(pool, expert);
    const known = this.#coming.get(key);
    if (known) {
      raiseRecord(this.#file, this.#pools[pool]!, expert, priority);
      return known;
    }
    const coming = this.#fetch(pool, expert, priority).finally(() => {
      if (this.#coming.get(key) === coming) this.#coming.delete(key);
    });
    this.#coming.set(key, coming);
    return coming;
  }

  /** Whether a tier can take one more record of a pool without letting one go. */
  hasRoom(tier: LowerTier, pool: number): boolean {
    const { recordBytes } = this.#pools[pool]!;
    return this.tiers.bytes(tier) + recordBytes <= this.tiers.budgetBytes(tier);
  }

  /**
   * Whether the background should fetch an expert: RAM or disk does not have it and has room. What is on the GPU and on
   * disk is not wanted in RAM as well.
   */
  isWanted(pool: number, expert: number): boolean {
    if (this.#coming.has(keyOf(pool, expert))) return false;
    const place = this.tiers.locate(pool, expert);
    if (place === "ram") return false;
    const atHand = place === "disk" && this.#onGpu(pool, expert);
    const fitsRam = !atHand && this.hasRoom("ram", pool);
    const fitsDisk =
      place === "source" && this.#disk?.writable === true && this.hasRoom("disk", pool);
    return fitsRam || fitsDisk;
  }

  /** The key of the record that leaves the disk first. */
  coldestOnDisk(): string | undefined {
    const coldest = this.tiers.coldest("disk");
    return coldest && keyOf(coldest.pool, coldest.expert);
  }

  /** Gives up every record that is under way: whoever asks from now on shares none of them, however slowly they end. */
  stop(): void {
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#coming.clear();
  }

  /** A token waits for a record that is under way. */
  hurry(pool: number, expert: number): void {
    if (!this.#coming.has(keyOf(pool, expert))) return;
    raiseRecord(this.#file, this.#pools[pool]!, expert, "demand");
  }

  /** Changes what RAM and disk may take, in bytes; what leaves is let go at once. */
  async setBudget(tier: "ram" | "disk", bytes: number): Promise<void> {
    const evicted = this.tiers.setBudget(tier, bytes);
    if (tier === "ram") this.#dropFromRam(evicted);
    else
      await Promise.all(evicted.map(({ pool, expert }) => this.#disk?.remove(keyOf(pool, expert))));
  }

  /** Resolves when everything that was to be written to disk is there. */
  async written(): Promise<void> {
    while (this.#writes.size > 0) await Promise.all(this.#writes);
  }

  /** For a map: the nearest tier of every expert, 0 the source, 1 disk, 2 RAM; `[pools, experts]`. */
  snapshot(): Uint8Array {
    return Uint8Array.from(this.#all(), ({ pool, expert }) => {
      const tier = this.tiers.locate(pool, expert);
      return tier === "ram" ? 2 : tier === "disk" ? 1 : 0;
    });
  }

  *#all(): Generator<{ pool: number; expert: number }> {
    for (const [pool] of this.#pools.entries()) {
      for (let expert = 0; expert < this.#experts; expert++) yield { pool, expert };
    }
  }

  async #fetch(
    pool: number,
    expert: number,
    priority: ReadPriority,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const kept = await this.#fromDisk(pool, expert);
    if (kept) {
      this.#keepInRam(pool, expert, kept, priority);
      return kept;
    }
    const { signal } = this.#stop;
    const layout = this.#pools[pool]!;
    const record = await readRecord(this.#file, layout, expert, { signal, priority });
    this.#counters.fromSource++;
    this.#keepInRam(pool, expert, record, priority);
    this.#keepOnDisk(pool, expert, record);
    return record;
  }

  /** What is kept on disk; a damaged record has left it. */
  async #fromDisk(pool: number, expert: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (!this.#disk || this.tiers.locate(pool, expert) !== "disk") return undefined;
    const record = await this.#disk.read(keyOf(pool, expert));
    if (record?.length === this.#pools[pool]!.recordBytes) {
      this.#counters.fromDisk++;
      this.#counters.diskBytesRead += record.length;
      return record;
    }
    this.tiers.drop("disk", pool, expert);
    return undefined;
  }

  /** What nobody waits for takes only the room that is left. */
  #keepInRam(
    pool: number,
    expert: number,
    record: Uint8Array<ArrayBuffer>,
    priority: ReadPriority,
  ): void {
    if (priority !== "demand" && !this.hasRoom("ram", pool)) return;
    const admitted = this.tiers.admit("ram", pool, expert);
    if (!admitted) return;
    this.#dropFromRam(admitted.evicted);
    this.#ram.set(keyOf(pool, expert), record);
  }

  #dropFromRam(experts: readonly RecordId[]): void {
    for (const { pool, expert } of experts) this.#ram.delete(keyOf(pool, expert));
  }

  /** Writes behind the reply's back: a disk that has no room or fails costs nothing but the next visit. */
  #keepOnDisk(pool: number, expert: number, record: Uint8Array<ArrayBuffer>): void {
    if (!this.#disk?.writable) return;
    const admitted = this.tiers.admit("disk", pool, expert);
    if (!admitted) return;
    this.#removeFromDisk(admitted.evicted);
    const write = this.#disk
      .write(keyOf(pool, expert), record)
      .catch(() => false)
      .then((kept) => {
        if (!kept) this.tiers.drop("disk", pool, expert);
      })
      .finally(() => this.#writes.delete(write));
    this.#writes.add(write);
  }

  #removeFromDisk(experts: readonly RecordId[]): void {
    for (const { pool, expert } of experts) {
      void this.#disk?.remove(keyOf(pool, expert)).catch(() => {});
    }
  }
}

/** The name of an expert's record on disk. */
export function keyOf(pool: number, expert: number): string {
  return `expert:${pool}/${expert}`;
}

/** The expert that {@link keyOf} named; undefined for any other key. */
export function expertOf(
  key: string,
): { readonly pool: number; readonly expert: number } | undefined {
  const [, pool, expert] = /^expert:(\d+)\/(\d+)$/.exec(key) ?? [];
  return pool === undefined ? undefined : { pool: Number(pool), expert: Number(expert) };
}
