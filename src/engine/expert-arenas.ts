import { SluiceError } from "../errors.ts";
import type { ExpertCache } from "../experts/expert-cache.ts";
import type { GpuContext } from "../gpu/device.ts";
import type { ExpertArenas } from "../ops/gpu-resources.ts";
import type { ExpertSlots } from "./expert-store.ts";
import { biasesOf, type PoolLayout } from "./pool-layout.ts";

/**
 * The slots on the GPU: for each pool arenas of slots of its record's size, each arena within the device's binding
 * limit. The cache says which expert is in which slot. Owned by the expert store.
 */
export class Arenas implements ExpertSlots {
  readonly #context: GpuContext;
  readonly #pools: readonly PoolLayout[];
  readonly #cache: ExpertCache;
  readonly #buffers: GPUBuffer[][];

  /** Throws "missing-feature" where a slot exceeds the limit; the device's refusals are the caller's to watch for. */
  constructor(context: GpuContext, pools: readonly PoolLayout[], cache: ExpertCache) {
    this.#context = context;
    this.#pools = pools;
    this.#cache = cache;
    this.#buffers = pools.map((_, pool) => this.#allocate(pool, cache.slotCount(pool)));
  }

  /** A pool's slots, as kernels bind them. */
  of(pool: number): ExpertArenas {
    const layout = this.#pools[pool]!;
    const { gate, up, down, downByColumns, recordBytes } = layout;
    return {
      slots: this.#cache.slotCount(pool),
      slotsPerArena: this.#slotsPerArena(pool),
      slotWords: recordBytes / 4,
      gateFirst: gate.byteOffset / 4,
      upFirst: up.byteOffset / 4,
      downFirst: down.byteOffset / 4,
      biases: biasesOf(layout),
      gateFormat: gate.format,
      upFormat: up.format,
      downFormat: down.format,
      downByColumns,
      arenas: this.#buffers[pool]!,
    };
  }

  /** Writes zeros into the first slot of a pool as if they were a record, to see how long it takes. Not once one is there. */
  uploadNothing(pool: number): void {
    this.upload(pool, 0, new Uint8Array(this.#pools[pool]!.recordBytes));
  }

  /** Writes a record into a slot, behind all that was submitted. */
  upload(pool: number, slot: number, record: Uint8Array<ArrayBuffer>): void {
    const { buffer, byteOffset } = this.#place(this.#buffers[pool]!, pool, slot);
    this.#context.device.queue.writeBuffer(buffer, byteOffset, record);
  }

  /**
   * Gives every pool another number of slots, pool after pool, so that little more than the larger of both is ever
   * taken; programs must be recorded again after it. The policy chooses what leaves. Between passes, with no load under
   * way. Throws "out-of-memory" and goes back to the old slots, less what has left them.
   */
  async resize(slotCounts: readonly number[]): Promise<void> {
    const before = this.#pools.map((_, pool) => this.#cache.slotCount(pool));
    const order = this.#pools.map((_, pool) => pool);
    const growth = (pool: number) => slotCounts[pool]! - before[pool]!;
    const resized: number[] = [];
    try {
      for (const pool of order.sort((a, b) => growth(a) - growth(b))) {
        await this.#resizePool(pool, slotCounts[pool]!);
        resized.push(pool);
      }
    } catch (error) {
      for (const pool of resized.reverse()) await this.#resizePool(pool, before[pool]!);
      throw error;
    }
  }

  dispose(): void {
    for (const buffer of this.#buffers.flat()) this.#context.memory.release(buffer);
  }

  async #resizePool(pool: number, slots: number): Promise<void> {
    const cache = this.#cache;
    if (slots === cache.slotCount(pool)) return;
    const { device, memory } = this.#context;
    const old = this.#buffers[pool]!;
    const grown = await memory.guard("the expert slots", () => this.#allocate(pool, slots));
    const oldSlots = new Map(
      cache.ready(pool).map((expert) => [expert, cache.slotOf(pool, expert)!]),
    );
    const counts = this.#pools.map((_, other) => (other === pool ? slots : cache.slotCount(other)));
    if (!cache.resize(counts)) throw new Error("unreachable: a slot is in use between passes");
    const encoder = device.createCommandEncoder({ label: "move experts" });
    const { recordBytes } = this.#pools[pool]!;
    for (const [expert, slot] of oldSlots) {
      const kept = cache.slotOf(pool, expert);
      if (kept === undefined) continue;
      const from = this.#place(old, pool, slot);
      const to = this.#place(grown, pool, kept);
      encoder.copyBufferToBuffer(
        from.buffer,
        from.byteOffset,
        to.buffer,
        to.byteOffset,
        recordBytes,
      );
    }
    device.queue.submit([encoder.finish()]);
    for (const buffer of old) memory.release(buffer);
    this.#buffers[pool] = grown;
  }

  #allocate(pool: number, slots: number): GPUBuffer[] {
    const { recordBytes } = this.#pools[pool]!;
    const perArena = this.#slotsPerArena(pool);
    const arenas: GPUBuffer[] = [];
    for (let first = 0; first < slots; first += perArena) {
      const bytes = Math.min(perArena, slots - first) * recordBytes;
      arenas.push(this.#context.memory.storage(`experts of pool ${pool}`, bytes));
    }
    return arenas;
  }

  #slotsPerArena(pool: number): number {
    const { recordBytes } = this.#pools[pool]!;
    const { maxBytes } = this.#context.memory;
    const slots = Math.floor(maxBytes / recordBytes);
    if (slots === 0) {
      throw new SluiceError(
        "missing-feature",
        `One expert takes ${recordBytes} bytes; this adapter binds at most ${maxBytes}. Use a model with smaller experts or another adapter.`,
      );
    }
    return slots;
  }

  #place(arenas: readonly GPUBuffer[], pool: number, slot: number) {
    const perArena = this.#slotsPerArena(pool);
    return {
      buffer: arenas[Math.floor(slot / perArena)]!,
      byteOffset: (slot % perArena) * this.#pools[pool]!.recordBytes,
    };
  }
}
