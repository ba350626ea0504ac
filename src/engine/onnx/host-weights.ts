import { repackMatrix, type WeightFormat } from "../../formats/format.ts";
import { weightFormats } from "../../formats/registry.ts";
import type { GgufFile, TensorInfo } from "../../gguf/gguf.ts";
import type { TensorSpec } from "../../models/model.ts";
import type { HostMatrix, OnnxWeights } from "../../ops/onnx/weights.ts";
import {
  formatOf,
  READ_BYTES,
  readIds,
  readParts,
  type TensorPart,
  tensorOf,
} from "../tensor-reader.ts";

/** Matrices are expanded to f32 where all of them take no more than this so. */
export const EXPANDED_BYTES = 512 * 1024 * 1024;

/** A tensor as it lies in the file. */
interface StoredTensor {
  readonly format: WeightFormat;
  readonly rows: number;
  readonly cols: number;
  readonly blocks: Uint8Array<ArrayBuffer>;
}

/** A small tensor in f32; its data is there once it has been read. */
interface DecodedTensor {
  readonly shape: readonly number[];
  data: Float32Array;
}

/**
 * The tensors that every token needs, in the host's memory until graphs have taken them up. What the host itself reads
 * stays: tables of embeddings and of ids.
 */
export class HostWeights implements OnnxWeights {
  readonly #matrices = new Map<string, StoredTensor>();
  readonly #values = new Map<string, DecodedTensor>();
  readonly #tables = new Map<string, { readonly cols: number; readonly ids: Uint32Array }>();
  readonly #expandedBytes: number;
  #expands = true;

  constructor(expandedBytes: number) {
    this.#expandedBytes = expandedBytes;
  }

  /**
   * Reads `specs` from the file. Throws "unsupported-format", "bad-file", "truncated-file", "aborted" and what the
   * source throws.
   */
  async load(
    file: GgufFile,
    specs: readonly TensorSpec[],
    onBytes: (bytes: number) => void,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const parts = specs.flatMap((spec) => this.#open(tensorOf(file, spec.name), spec));
    await readParts(file, parts, onBytes, signal);
    let weights = 0;
    for (const { rows, cols } of this.#matrices.values()) weights += rows * cols;
    this.#expands = 4 * weights <= this.#expandedBytes;
  }

  get expands(): boolean {
    return this.#expands;
  }

  matrix(name: string): HostMatrix {
    const stored = this.#matrices.get(name);
    if (stored) {
      const { rows, cols, format, blocks } = stored;
      return { rows, cols, format, planes: () => repackMatrix(format, blocks) };
    }
    const { shape, data } = this.#decoded(name);
    const cols = shape.at(-1)!;
    const planes = () => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return { rows: data.length / cols, cols, format: weightFormats.f32, planes };
  }

  values(name: string): Float32Array {
    return this.#decoded(name).data;
  }

  rowsOf(name: string): Float32Array {
    const stored = this.#matrices.get(name);
    return stored ? stored.format.decode(stored.blocks) : this.values(name);
  }

  /** Rows of a matrix, in f32, one behind the other, times `scale`. */
  embedded(name: string, ids: readonly number[], scale: number): Float32Array {
    const { cols } = this.matrix(name);
    const stored = this.#matrices.get(name);
    const rows = new Float32Array(ids.length * cols);
    for (const [index, id] of ids.entries()) {
      const row = stored
        ? stored.format.decode(rowBlocks(stored, id))
        : this.values(name).subarray(id * cols, (id + 1) * cols);
      for (let col = 0; col < cols; col++) rows[index * cols + col] = row[col]! * scale;
    }
    return rows;
  }

  /** The ids that a table has in some of its rows, one row behind the other. */
  tableRows(name: string, ids: readonly number[]): Uint32Array {
    const table = this.#tables.get(name);
    if (!table) throw new Error(`unreachable: ${name} is not among the model's tables`);
    const { cols, ids: all } = table;
    const rows = new Uint32Array(ids.length * cols);
    for (const [index, id] of ids.entries()) {
      rows.set(all.subarray(id * cols, (id + 1) * cols), index * cols);
    }
    return rows;
  }

  /** Lets go of all matrices but those named. */
  keepOnly(names: ReadonlySet<string>): void {
    for (const name of this.#matrices.keys()) if (!names.has(name)) this.#matrices.delete(name);
  }

  /** Bytes of the host's memory that are taken. */
  get bytes(): number {
    const matrices = [...this.#matrices.values()].map(({ blocks }) => blocks.byteLength);
    const values = [...this.#values.values()].map(({ data }) => data.byteLength);
    const tables = [...this.#tables.values()].map(({ ids }) => ids.byteLength);
    return [...matrices, ...values, ...tables].reduce((sum, bytes) => sum + bytes, 0);
  }

  #decoded(name: string) {
    const decoded = this.#values.get(name);
    if (!decoded) throw new Error(`unreachable: ${name} is not among the model's weights`);
    return decoded;
  }

  #open(info: TensorInfo, { idsBelow, decoded, shape }: TensorSpec): TensorPart[] {
    if (idsBelow !== undefined) return this.#openTable(info, idsBelow);
    const format = formatOf(info);
    const blocks = new Uint8Array(info.bytes);
    const parts = piecesOf(info, (bytes, at) => blocks.set(bytes, at));
    const cols = shape.at(-1)!;
    const rows = shape.reduce((a, b) => a * b, 1) / cols;
    if (!decoded && shape.length > 1) {
      this.#matrices.set(info.name, { format, rows, cols, blocks });
      return parts;
    }
    const kept: DecodedTensor = { shape, data: new Float32Array(0) };
    this.#values.set(info.name, kept);
    return takenLast(parts, () => {
      kept.data = format.decode(blocks);
    });
  }

  #openTable(info: TensorInfo, idsBelow: number): TensorPart[] {
    const [rows, cols] = info.shape as [number, number];
    const ids = new Uint32Array(rows * cols);
    this.#tables.set(info.name, { cols, ids });
    return piecesOf(info, (bytes, at) => ids.set(readIds(info, bytes, idsBelow), at / 4));
  }
}

/** A tensor in pieces that one read each brings. */
function piecesOf(info: TensorInfo, take: (bytes: Uint8Array, at: number) => void): TensorPart[] {
  const parts: TensorPart[] = [];
  for (let first = 0; first < info.bytes; first += READ_BYTES) {
    const bytes = Math.min(READ_BYTES, info.bytes - first);
    parts.push({
      byteOffset: info.byteOffset + first,
      bytes,
      take: (read) => take(read, first),
    });
  }
  return parts;
}

/** The parts, the last of which does something more. */
function takenLast(parts: readonly TensorPart[], then: () => void): TensorPart[] {
  return parts.map((part, index) => ({
    ...part,
    take(bytes) {
      part.take(bytes);
      if (index === parts.length - 1) then();
    },
  }));
}

function rowBlocks({ format, cols, blocks }: StoredTensor, row: number): Uint8Array {
  const bytes = (cols / format.blockWeights) * format.blockBytes;
  return blocks.subarray(row * bytes, (row + 1) * bytes);
}
