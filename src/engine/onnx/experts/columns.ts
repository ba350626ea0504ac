import type { ExpertCache } from "../../../experts/expert-cache.ts";
import {
  type Columns,
  columnsBytes,
  type MatrixShape,
  viewColumns,
  writeColumns,
  writeStoredColumns,
} from "../../../formats/columns.ts";
import { planPlanes } from "../../../formats/format.ts";
import type { MoeSpec } from "../../../ops/ops.ts";
import type { ExpertSlots } from "../../expert-store.ts";
import type { ExpertPart, PoolLayout } from "../../pool-layout.ts";

/** The products of an expert, in the order in which they lie in a slot. */
export const PRODUCTS = ["gate", "up", "down"] as const;
export type ProductName = (typeof PRODUCTS)[number];

/** An expert as graphs take it. Views on its slot: valid until the slot is written again. */
export interface ExpertColumns {
  readonly matrices: Readonly<Record<ProductName, Columns>>;
  readonly biases: Readonly<Record<ProductName, Float32Array>> | undefined;
}

/** How an expert of a pool lies in its slot. */
export interface ColumnsLayout {
  readonly pool: PoolLayout;
  readonly shapes: Readonly<Record<ProductName, MatrixShape>>;
  /** Of the matrices, in bytes from the slot's start: multiples of 16. */
  readonly offsets: Readonly<Record<ProductName, number>>;
  /** As `offsets`, of the biases; undefined where experts have none. */
  readonly biasOffsets: Readonly<Record<ProductName, number>> | undefined;
  readonly slotBytes: number;
}

/** Lays out a pool's slots. */
export function planColumns(pool: PoolLayout, { hidden, ffn }: MoeSpec): ColumnsLayout {
  const shapes = { gate: [ffn, hidden], up: [ffn, hidden], down: [hidden, ffn] } as const;
  let slotBytes = 0;
  const place = (bytesOf: (name: ProductName) => number) => {
    const offsets = { gate: 0, up: 0, down: 0 };
    for (const name of PRODUCTS) {
      offsets[name] = slotBytes;
      slotBytes += bytesOf(name);
    }
    return offsets;
  };
  const offsets = place((name) => columnsBytes(pool[name].format, shapes[name]));
  const biasOffsets = pool.biases && place((name) => 4 * shapes[name][0]);
  return { pool, shapes, offsets, biasOffsets, slotBytes };
}

/** What gives slots their memory, and is told when it is no longer needed. */
export interface SlotMemory {
  openSlot(slot: number, bytes: number): Uint8Array;
  dropSlots(slots: readonly number[]): void;
}

/**
 * Slots in the host's memory, which is where onnxruntime-web is given weights from: records of experts, expanded to what
 * its operators take. A slot's memory is there from its first record on.
 */
export class ColumnSlots implements ExpertSlots {
  readonly #layouts: readonly ColumnsLayout[];
  readonly #cache: ExpertCache;
  readonly #memory: SlotMemory;
  readonly #pools: (Slot | undefined)[][];
  #opened = 0;

  constructor(layouts: readonly ColumnsLayout[], cache: ExpertCache, memory: SlotMemory) {
    this.#layouts = layouts;
    this.#cache = cache;
    this.#memory = memory;
    this.#pools = layouts.map((_, pool) => emptySlots(cache.slotCount(pool)));
  }

  /** The expert in a slot. */
  expert(pool: number, slot: number): ExpertColumns {
    return this.#slot(pool, slot).columns;
  }

  /** The number by which a slot's memory was asked for. */
  memoryOf(pool: number, slot: number): number {
    return this.#slot(pool, slot).number;
  }

  /** Bytes that all slots take that were written. */
  get bytes(): number {
    return this.#pools.flat().reduce((sum, slot) => sum + (slot?.memory.byteLength ?? 0), 0);
  }

  upload(pool: number, slot: number, record: Uint8Array<ArrayBuffer>): void {
    const layout = this.#layouts[pool]!;
    const { gate, up, down, downByColumns, biases } = layout.pool;
    const slots = this.#pools[pool]!;
    slots[slot] ??= this.#open(layout);
    const { columns } = slots[slot];
    const planesOf = ({ byteOffset, format }: ExpertPart, [rows, cols]: MatrixShape) =>
      record.subarray(byteOffset, byteOffset + planPlanes(format, rows * cols).bytes);
    const parts = { gate, up, down };
    for (const name of PRODUCTS) {
      const part = parts[name];
      const shape = layout.shapes[name];
      const stored = name === "down" && downByColumns;
      const write = stored ? writeStoredColumns : writeColumns;
      write(part.format, shape, planesOf(part, shape), columns.matrices[name]);
    }
    if (!biases || !columns.biases) return;
    for (const name of PRODUCTS) {
      const values = columns.biases[name];
      values.set(floatsAt(record, biases[name], values.length));
    }
  }

  async resize(slotCounts: readonly number[]): Promise<void> {
    const cache = this.#cache;
    const dropped = new Set(this.#pools.flat().map((slot) => slot?.number));
    const before = this.#pools.map((_, pool) =>
      cache.ready(pool).map((expert) => [expert, cache.slotOf(pool, expert)!] as const),
    );
    if (!cache.resize(slotCounts)) throw new Error("unreachable: a slot is in use between passes");
    for (const [pool, experts] of before.entries()) {
      const old = this.#pools[pool]!;
      const slots = emptySlots(slotCounts[pool]!);
      for (const [expert, slot] of experts) {
        const kept = cache.slotOf(pool, expert);
        if (kept === undefined) continue;
        slots[kept] = old[slot];
        dropped.delete(old[slot]!.number);
      }
      this.#pools[pool] = slots;
    }
    this.#memory.dropSlots([...dropped].filter((number) => number !== undefined));
  }

  dispose(): void {
    for (const slots of this.#pools) slots.length = 0;
  }

  #slot(pool: number, slot: number): Slot {
    const found = this.#pools[pool]![slot];
    if (!found) throw new Error(`unreachable: slot ${slot} of pool ${pool} is empty`);
    return found;
  }

  #open(layout: ColumnsLayout): Slot {
    const number = this.#opened++;
    const memory = this.#memory.openSlot(number, layout.slotBytes);
    return { number, memory, columns: viewExpert(layout, memory) };
  }
}

/** A slot's memory, with views on it. There is none as long as nothing was written to it. */
interface Slot {
  /** No two slots have had the same. */
  readonly number: number;
  readonly memory: Uint8Array;
  readonly columns: ExpertColumns;
}

function emptySlots(count: number): (Slot | undefined)[] {
  return Array.from({ length: count }, () => undefined);
}

function viewExpert(
  { pool, shapes, offsets, biasOffsets }: ColumnsLayout,
  memory: Uint8Array,
): ExpertColumns {
  const view = (name: ProductName) =>
    viewColumns(pool[name].format, shapes[name], memory, offsets[name]);
  const bias = (name: ProductName) =>
    new Float32Array(memory.buffer, memory.byteOffset + biasOffsets![name], shapes[name][0]);
  return {
    matrices: { gate: view("gate"), up: view("up"), down: view("down") },
    biases: biasOffsets && { gate: bias("gate"), up: bias("up"), down: bias("down") },
  };
}

function floatsAt(record: Uint8Array, byteOffset: number, count: number): Float32Array {
  const start = record.byteOffset + byteOffset;
  return new Float32Array(record.buffer.slice(start, start + 4 * count));
}
