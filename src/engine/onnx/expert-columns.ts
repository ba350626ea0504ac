import type { ExpertCache } from "../../experts/expert-cache.ts";
import {
  type Columns,
  columnsBytes,
  type MatrixShape,
  viewColumns,
  writeColumns,
  writeStoredColumns,
} from "../../formats/columns.ts";
import { planPlanes } from "../../formats/format.ts";
import type { MoeSpec } from "../../ops/ops.ts";
import type { ExpertSlots } from "../expert-store.ts";
import type { ExpertPart, PoolLayout } from "../pool-layout.ts";

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
  readonly offsets: Readonly<Record<ProductName, number>>;
  readonly slotBytes: number;
}

/** Lays out a pool's slots. */
export function planColumns(pool: PoolLayout, { hidden, ffn }: MoeSpec): ColumnsLayout {
  const shapes = { gate: [ffn, hidden], up: [ffn, hidden], down: [hidden, ffn] } as const;
  let slotBytes = 0;
  const offsets = { gate: 0, up: 0, down: 0 };
  for (const name of PRODUCTS) {
    offsets[name] = slotBytes;
    slotBytes += columnsBytes(pool[name].format, shapes[name]);
  }
  return { pool, shapes, offsets, slotBytes };
}

/**
 * Slots in the host's memory, which is where onnxruntime-web is given weights from: records of experts, expanded to what
 * its operators take. A slot's memory is there from its first record on.
 */
export class ColumnSlots implements ExpertSlots {
  readonly #layouts: readonly ColumnsLayout[];
  readonly #cache: ExpertCache;
  readonly #pools: Slot[][];

  constructor(layouts: readonly ColumnsLayout[], cache: ExpertCache) {
    this.#layouts = layouts;
    this.#cache = cache;
    this.#pools = layouts.map((_, pool) => emptySlots(cache.slotCount(pool)));
  }

  /** The expert in a slot. */
  expert(pool: number, slot: number): ExpertColumns {
    const found = this.#pools[pool]![slot];
    if (!found) throw new Error(`unreachable: slot ${slot} of pool ${pool} is empty`);
    return found.columns;
  }

  /** Bytes that all slots take that were written. */
  get bytes(): number {
    return this.#pools.flat().reduce((sum, slot) => sum + (slot?.memory.byteLength ?? 0), 0);
  }

  upload(pool: number, slot: number, record: Uint8Array<ArrayBuffer>): void {
    const layout = this.#layouts[pool]!;
    const { gate, up, down, downByColumns, biases } = layout.pool;
    const slots = this.#pools[pool]!;
    slots[slot] ??= openSlot(layout);
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
    const before = this.#pools.map((_, pool) =>
      cache.ready(pool).map((expert) => [expert, cache.slotOf(pool, expert)!] as const),
    );
    if (!cache.resize(slotCounts)) throw new Error("unreachable: a slot is in use between passes");
    for (const [pool, experts] of before.entries()) {
      const old = this.#pools[pool]!;
      const slots = emptySlots(slotCounts[pool]!);
      for (const [expert, slot] of experts) {
        const kept = cache.slotOf(pool, expert);
        if (kept !== undefined) slots[kept] = old[slot];
      }
      this.#pools[pool] = slots;
    }
  }

  dispose(): void {
    for (const slots of this.#pools) slots.length = 0;
  }
}

/** A slot's memory, with views on it; undefined as long as nothing was written to it. */
type Slot =
  | { readonly memory: Uint8Array<ArrayBuffer>; readonly columns: ExpertColumns }
  | undefined;

function emptySlots(count: number): Slot[] {
  return Array.from({ length: count }, () => undefined);
}

function openSlot({ pool, shapes, offsets, slotBytes }: ColumnsLayout): NonNullable<Slot> {
  const memory = new Uint8Array(slotBytes);
  const view = (name: ProductName) =>
    viewColumns(pool[name].format, shapes[name], memory, offsets[name]);
  const bias = (name: ProductName) => new Float32Array(shapes[name][0]);
  return {
    memory,
    columns: {
      matrices: { gate: view("gate"), up: view("up"), down: view("down") },
      biases: pool.biases && { gate: bias("gate"), up: bias("up"), down: bias("down") },
    },
  };
}

function floatsAt(record: Uint8Array, byteOffset: number, count: number): Float32Array {
  const start = record.byteOffset + byteOffset;
  return new Float32Array(record.buffer.slice(start, start + 4 * count));
}
