import type { ExpertCache, Load } from "../../experts/expert-cache.ts";
import type { LowerTier, LowerTiers, RecordPlace } from "../../experts/lower-tiers.ts";
import type { CostModel } from "./cost-model.ts";

/** Loads so far, by the place that had the record, and the bytes that they moved. */
export interface LoadCounters {
  readonly loadsFrom: Readonly<Record<RecordPlace, number>>;
  readonly bytesUploaded: number;
  readonly bytesFromDisk: number;
  readonly bytesFromNetwork: number;
  /** Time of reads and uploads, added up. */
  readonly busyMs: number;
}

/** Who wants a load: a layer that waits for it, a guess, or the background. */
export type LoadPriority = "demand" | "prefetch" | "fill";

interface Landing {
  readonly priority: LoadPriority;
  readonly pool: number;
  readonly expert: number;
  readonly place: RecordPlace;
  readonly atMs: number;
}

/**
 * Carries out loads on a virtual clock. Disk and network each send one record's bytes after the other's, while their
 * latencies overlap; uploads take their turn in the GPU's queue. A record that is in RAM is there as soon as its load
 * begins: its upload is queued before whatever is submitted next.
 */
export class VirtualLoads {
  readonly #cache: ExpertCache;
  readonly #tiers: LowerTiers;
  readonly #recordBytes: readonly number[];
  readonly #costs: CostModel;
  readonly #landings = new Map<number, Landing>(); // under way, in the order in which they began
  readonly #freeMs = { disk: 0, source: 0 };
  #uploadedMs = 0;
  readonly #loadsFrom = { ram: 0, disk: 0, source: 0 };
  readonly #bytes = { uploaded: 0, disk: 0, source: 0 };
  #busyMs = 0;

  constructor(parts: {
    readonly cache: ExpertCache;
    readonly tiers: LowerTiers;
    readonly recordBytes: readonly number[];
    readonly costs: CostModel;
  }) {
    this.#cache = parts.cache;
    this.#tiers = parts.tiers;
    this.#recordBytes = parts.recordBytes;
    this.#costs = parts.costs;
  }

  get counters(): LoadCounters {
    return {
      loadsFrom: { ...this.#loadsFrom },
      bytesUploaded: this.#bytes.uploaded,
      bytesFromDisk: this.#bytes.disk,
      bytesFromNetwork: this.#bytes.source,
      busyMs: this.#busyMs,
    };
  }

  /** When the uploads of everything that has landed are done: work submitted now starts no earlier. */
  get uploadedMs(): number {
    return this.#uploadedMs;
  }

  /** Milliseconds that a byte took so far, reading and uploading. */
  get msPerByte(): number {
    return this.#bytes.uploaded > 0 ? this.#busyMs / this.#bytes.uploaded : 0;
  }

  /** Starts a load that was begun in the cache. */
  begin(pool: number, { expert }: Load, priority: LoadPriority, nowMs: number): void {
    const place = this.#tiers.locate(pool, expert);
    const landing = { priority, pool, expert, place, atMs: this.#readEnd(place, pool, nowMs) };
    this.#loadsFrom[place]++;
    if (place === "ram") this.#land(landing);
    else this.#landings.set(this.#key(pool, expert), landing);
  }

  /** When a load under way lands. */
  landingMs(pool: number, expert: number): number {
    const landing = this.#landings.get(this.#key(pool, expert));
    if (!landing) throw new Error(`unreachable: expert ${expert} of pool ${pool} is not under way`);
    return landing.atMs;
  }

  /** Commits what has landed by now, in the order in which it did. */
  settle(nowMs: number): void {
    const landed = [...this.#landings.values()].filter(({ atMs }) => atMs <= nowMs);
    for (const landing of landed.sort((a, b) => a.atMs - b.atMs)) {
      this.#landings.delete(this.#key(landing.pool, landing.expert));
      this.#land(landing);
    }
  }

  #readEnd(place: RecordPlace, pool: number, nowMs: number): number {
    if (place === "ram") return nowMs;
    const { diskMs, diskMsPerByte, networkMs, networkMsPerByte } = this.#costs;
    const bytes = this.#recordBytes[pool]!;
    const [latencyMs, msPerByte] =
      place === "disk" ? [diskMs, diskMsPerByte] : [networkMs, networkMsPerByte];
    const startMs = Math.max(nowMs, this.#freeMs[place]);
    this.#freeMs[place] = startMs + bytes * msPerByte;
    this.#bytes[place] += bytes;
    this.#busyMs += bytes * msPerByte;
    return this.#freeMs[place] + latencyMs;
  }

  #land({ priority, pool, expert, place, atMs }: Landing): void {
    const { uploadMs, uploadMsPerByte, ramMsPerByte } = this.#costs;
    const bytes = this.#recordBytes[pool]!;
    const takesMs = uploadMs + bytes * (uploadMsPerByte + ramMsPerByte);
    this.#uploadedMs = Math.max(this.#uploadedMs, atMs) + takesMs;
    this.#bytes.uploaded += bytes;
    this.#busyMs += takesMs;
    keepBelow(this.#tiers, { priority, place, pool, expert }, bytes);
    this.#cache.commit(pool, expert);
  }

  #key(pool: number, expert: number): number {
    return pool * this.#cache.experts + expert;
  }
}

/**
 * What every load does to the tiers below: each of them keeps a copy of what came from farther off. In RAM, what nobody
 * waits for takes only the room that is left.
 */
export function keepBelow(
  tiers: LowerTiers,
  { priority, place, pool, expert }: Omit<Landing, "atMs">,
  bytes: number,
): void {
  if (place === "ram") return;
  if (priority === "demand" || hasRoom(tiers, "ram", bytes)) tiers.admit("ram", pool, expert);
  if (place === "source") tiers.admit("disk", pool, expert);
}

/** Whether a tier can take that many bytes without letting anything go. */
export function hasRoom(tiers: LowerTiers, tier: LowerTier, bytes: number): boolean {
  return tiers.bytes(tier) + bytes <= tiers.budgetBytes(tier);
}
