import { SluiceError } from "../errors.ts";
import type { ExpertCache, Load, ResizePlan } from "../experts/expert-cache.ts";
import { planPlanes, repackMatrix, type WeightFormat } from "../formats/format.ts";
import type { GgufFile, TensorInfo } from "../gguf/gguf.ts";
import type { GpuContext } from "../gpu/device.ts";
import type { ExpertArenas } from "../ops/gpu-resources.ts";
import type { MoeSpec } from "../ops/ops.ts";
import { formatOf, tensorOf } from "./weights.ts";

/** One of the three matrices of an expert: where it lies in the file, and where in a record. */
interface ExpertMatrix {
  readonly info: TensorInfo;
  readonly format: WeightFormat;
  /** Bytes of one expert's matrix in the file. */
  readonly fileBytes: number;
  /** Where it starts in the record, in bytes. */
  readonly byteOffset: number;
}

/** How the experts of a pool are laid out. */
export interface PoolLayout {
  readonly gate: ExpertMatrix;
  readonly up: ExpertMatrix;
  readonly down: ExpertMatrix;
  /** Bytes of one expert's record: a slot. */
  readonly recordBytes: number;
}

/** Reads the layouts of the pools from the tensor table. Throws "unsupported-format" or "bad-file". */
export function planPools(file: GgufFile, moe: readonly MoeSpec[]): PoolLayout[] {
  const pools: PoolLayout[] = [];
  for (const spec of moe) {
    const weights = spec.ffn * spec.hidden;
    let recordBytes = 0;
    const matrix = (name: string): ExpertMatrix => {
      const info = tensorOf(file, name);
      const format = formatOf(info);
      const byteOffset = recordBytes;
      recordBytes += planPlanes(format, weights).bytes;
      return { info, format, fileBytes: info.bytes / spec.experts, byteOffset };
    };
    const [gate, up, down] = [matrix(spec.gate), matrix(spec.up), matrix(spec.down)];
    if (gate.format !== up.format) {
      throw new SluiceError(
        "unsupported-format",
        `${spec.gate} is ${gate.format.name} and ${spec.up} is ${up.format.name}: Sluice needs both in one format. Use another quantisation of this model.`,
      );
    }
    pools[spec.pool] = { gate, up, down, recordBytes };
  }
  return pools;
}

/** What the store did since it was made. */
export interface StoreCounters {
  readonly bytesRead: number;
  readonly bytesUploaded: number;
}

/**
 * The slots on the GPU and the way of records into them. The cache says what goes where; the store reads, repacks and
 * uploads. Owned by the engine, which calls `dispose`.
 */
export class ExpertStore {
  readonly #context: GpuContext;
  readonly #file: GgufFile;
  readonly #pools: readonly PoolLayout[];
  readonly #cache: ExpertCache;
  readonly #arenas: GPUBuffer[][];
  readonly #landings = new Map<string, Promise<void>>();
  #bytesRead = 0;
  #bytesUploaded = 0;

  constructor(
    context: GpuContext,
    file: GgufFile,
    pools: readonly PoolLayout[],
    cache: ExpertCache,
  ) {
    this.#context = context;
    this.#file = file;
    this.#pools = pools;
    this.#cache = cache;
    this.#arenas = pools.map((layout, pool) => this.#allocate(layout, pool, cache.slotCount(pool)));
  }

  get counters(): StoreCounters {
    return { bytesRead: this.#bytesRead, bytesUploaded: this.#bytesUploaded };
  }

  /** A pool's slots, as kernels bind them. */
  arenas(pool: number): ExpertArenas {
    const { gate, up, down, recordBytes } = this.#pools[pool]!;
    return {
      slots: this.#cache.slotCount(pool),
      slotsPerArena: this.#slotsPerArena(recordBytes),
      slotWords: recordBytes / 4,
      gateFirst: gate.byteOffset / 4,
      upFirst: up.byteOffset / 4,
      downFirst: down.byteOffset / 4,
      gateFormat: gate.format,
      downFormat: down.format,
      arenas: this.#arenas[pool]!,
    };
  }

  /**
   * Carries out a load that was begun in the cache: it ends in `commit`, or in `abort` and the error.
   * Throws what the source throws, and "aborted".
   */
  load(pool: number, load: Load, signal?: AbortSignal): Promise<void> {
    const key = `${pool}/${load.expert}`;
    const landing = this.#load(pool, load, signal).finally(() => this.#landings.delete(key));
    this.#landings.set(key, landing);
    return landing;
  }

  /** Resolves when the load of an expert that somebody began has ended, well or not. */
  async landed(pool: number, expert: number): Promise<void> {
    await this.#landings.get(`${pool}/${expert}`)?.catch(() => {});
  }

  /** Resolves when nothing is being loaded. */
  async settled(): Promise<void> {
    while (this.#landings.size > 0) await Promise.allSettled(this.#landings.values());
  }

  /**
   * Gives the pools other numbers of slots, keeping what `plan` keeps; programs must be recorded again after it.
   * Throws "out-of-memory" and changes nothing, when called through `GpuMemory.guard` with `resize` inside.
   */
  async resize(slotCounts: readonly number[], resizeCache: () => ResizePlan): Promise<void> {
    const before = this.#pools.map((_, pool) => this.#cache.ready(pool));
    const oldSlots = before.map((experts, pool) =>
      experts.map((expert) => this.#cache.slotOf(pool, expert)!),
    );
    const grown = await this.#context.memory.guard("the expert slots", () =>
      this.#pools.map((layout, pool) => this.#allocate(layout, pool, slotCounts[pool]!)),
    );
    resizeCache();
    const encoder = this.#context.device.createCommandEncoder({ label: "move experts" });
    for (const [pool, { recordBytes }] of this.#pools.entries()) {
      for (const [index, expert] of before[pool]!.entries()) {
        const to = this.#cache.slotOf(pool, expert);
        if (to === undefined) continue;
        const from = this.#place(this.#arenas[pool]!, recordBytes, oldSlots[pool]![index]!);
        const target = this.#place(grown[pool]!, recordBytes, to);
        encoder.copyBufferToBuffer(
          from.buffer,
          from.byteOffset,
          target.buffer,
          target.byteOffset,
          recordBytes,
        );
      }
    }
    this.#context.device.queue.submit([encoder.finish()]);
    for (const [pool, buffers] of grown.entries()) {
      for (const buffer of this.#arenas[pool]!) this.#context.memory.release(buffer);
      this.#arenas[pool] = buffers;
    }
  }

  dispose(): void {
    for (const arenas of this.#arenas) {
      for (const buffer of arenas) this.#context.memory.release(buffer);
    }
  }

  async #load(pool: number, { expert, slot }: Load, signal?: AbortSignal): Promise<void> {
    const { gate, up, down, recordBytes } = this.#pools[pool]!;
    try {
      const record = new Uint8Array(recordBytes);
      await Promise.all(
        [gate, up, down].map(async ({ info, format, fileBytes, byteOffset }) => {
          const start = info.byteOffset + expert * fileBytes;
          const blocks = await this.#file.source.read(start, fileBytes, { signal });
          this.#bytesRead += fileBytes;
          record.set(repackMatrix(format, blocks), byteOffset);
        }),
      );
      const place = this.#place(this.#arenas[pool]!, recordBytes, slot);
      this.#context.device.queue.writeBuffer(place.buffer, place.byteOffset, record);
      this.#bytesUploaded += recordBytes;
    } catch (error) {
      this.#cache.abort(pool, expert);
      throw error;
    }
    this.#cache.commit(pool, expert);
  }

  #allocate({ recordBytes }: PoolLayout, pool: number, slots: number): GPUBuffer[] {
    const perArena = this.#slotsPerArena(recordBytes);
    const arenas: GPUBuffer[] = [];
    for (let first = 0; first < slots; first += perArena) {
      const bytes = Math.min(perArena, slots - first) * recordBytes;
      arenas.push(this.#context.memory.storage(`experts of pool ${pool}`, bytes));
    }
    return arenas;
  }

  #slotsPerArena(recordBytes: number): number {
    const { maxBufferSize, maxStorageBufferBindingSize } = this.#context.device.limits;
    const slots = Math.floor(Math.min(maxBufferSize, maxStorageBufferBindingSize) / recordBytes);
    if (slots === 0) {
      throw new SluiceError(
        "missing-feature",
        `One expert takes ${recordBytes} bytes; this adapter binds at most ${maxStorageBufferBindingSize}. Use a model with smaller experts or another adapter.`,
      );
    }
    return slots;
  }

  #place(arenas: readonly GPUBuffer[], recordBytes: number, slot: number) {
    const perArena = this.#slotsPerArena(recordBytes);
    return {
      buffer: arenas[Math.floor(slot / perArena)]!,
      byteOffset: (slot % perArena) * recordBytes,
    };
  }
}
