import { planPlanes, type WeightFormat } from "../formats/format.ts";
import { weightFormats } from "../formats/registry.ts";
import type { GgufFile, TensorInfo } from "../gguf/gguf.ts";
import type { GpuContext } from "../gpu/device.ts";
import type { TensorSpec } from "../models/model.ts";
import type { GpuMatrix, GpuMatrixPart, GpuTable } from "../ops/gpu-resources.ts";
import { planRowParts } from "./matrix-parts.ts";
import {
  formatOf,
  READ_BYTES,
  readIds,
  readParts,
  type TensorPart,
  tensorOf,
} from "./tensor-reader.ts";

/** Uploads in the queue before it is waited for: the browser keeps a copy of each until then. */
const MAX_QUEUED_BYTES = 64 * 1024 * 1024;

/** Pieces of a matrix hold a multiple of this many blocks, so that every plane's part starts at a multiple of 4 bytes. */
const PIECE_BLOCKS = 4;

/** Kernels read vectors four numbers at a time, and nothing of four of which a buffer holds only some. */
const QUAD_BYTES = 16;

/** Tensors that stay on the GPU. Owned by the engine, which calls `dispose`. */
export class ResidentWeights {
  readonly #context: GpuContext;
  readonly #matrices = new Map<string, GpuMatrix>();
  readonly #tables = new Map<string, GpuTable>();
  readonly #vectors = new Map<string, Float32Array<ArrayBuffer>>();
  readonly #decodedShapes = new Map<string, readonly [rows: number, cols: number]>();
  readonly #vectorBuffers = new Map<string, GPUBuffer>();

  constructor(context: GpuContext) {
    this.#context = context;
  }

  matrix(name: string): GpuMatrix {
    const matrix = this.#matrices.get(name) ?? this.#decodedMatrix(name);
    if (!matrix) throw new Error(`unreachable: ${name} is not among the model's matrices`);
    return matrix;
  }

  /** A matrix that was decoded, as it lies among the vectors. */
  #decodedMatrix(name: string): GpuMatrix | undefined {
    const shape = this.#decodedShapes.get(name);
    if (!shape) return undefined;
    const [rows, cols] = shape;
    const parts = [{ buffer: this.vectors([name]), firstRow: 0, rows }];
    return { parts, rows, cols, format: weightFormats.f32 };
  }

  /** A table of ids. */
  table(name: string): GpuTable {
    const table = this.#tables.get(name);
    if (!table) throw new Error(`unreachable: ${name} is not among the model's tables`);
    return table;
  }

  /** The values of a vector. */
  values(name: string): Float32Array<ArrayBuffer> {
    const values = this.#vectors.get(name);
    if (!values) throw new Error(`unreachable: ${name} is not among the model's vectors`);
    return values;
  }

  /** Vectors one after another in one buffer, f32; made once for each list of names. */
  vectors(names: readonly string[]): GPUBuffer {
    const key = names.join("\n");
    const known = this.#vectorBuffers.get(key);
    if (known) return known;
    const parts = names.map((name) => this.values(name));
    const bytes = 4 * parts.reduce((sum, part) => sum + part.length, 0);
    const buffer = this.#context.memory.storage(
      names.join(" "),
      Math.ceil(bytes / QUAD_BYTES) * QUAD_BYTES,
    );
    let offset = 0;
    for (const part of parts) {
      this.#context.device.queue.writeBuffer(buffer, offset, part);
      offset += part.byteLength;
    }
    this.#vectorBuffers.set(key, buffer);
    return buffer;
  }

  /**
   * Reads `specs` from the file, in the order in which they lie there, and uploads them piece by piece.
   * Throws "unsupported-format", "bad-file" for an id that there is not, "truncated-file", "out-of-memory", "aborted" and
   * what the source throws.
   */
  async load(
    file: GgufFile,
    specs: readonly TensorSpec[],
    onBytes: (bytes: number) => void,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    // Room for all of it first: a device that has none says so before anything is read.
    const parts = await this.#context.memory.guard("the model's weights", () =>
      specs.flatMap((spec) => this.#open(tensorOf(file, spec.name), spec)),
    );
    let queuedBytes = 0;
    const onRead = async (bytes: number) => {
      onBytes(bytes);
      queuedBytes += bytes;
      if (queuedBytes < MAX_QUEUED_BYTES) return;
      await this.#context.device.queue.onSubmittedWorkDone();
      queuedBytes = 0;
    };
    await readParts(file, parts, onRead, signal);
  }

  dispose(): void {
    for (const { parts } of this.#matrices.values()) {
      for (const { buffer } of parts) this.#context.memory.release(buffer);
    }
    for (const { buffer } of this.#tables.values()) this.#context.memory.release(buffer);
    for (const buffer of this.#vectorBuffers.values()) this.#context.memory.release(buffer);
    this.#matrices.clear();
    this.#tables.clear();
    this.#vectorBuffers.clear();
  }

  /** Makes room for a tensor and cuts it into parts to be read. */
  #open(info: TensorInfo, { idsBelow, decoded, shape }: TensorSpec): TensorPart[] {
    if (idsBelow !== undefined) return this.#openTable(info, idsBelow);
    const format = formatOf(info);
    // The file may leave out leading axes of length 1, or have some more.
    if (decoded || shape.length === 1) {
      const cols = shape.at(-1)!;
      this.#decodedShapes.set(info.name, [shape.reduce((a, b) => a * b) / cols, cols]);
      const { byteOffset, bytes } = info;
      return [{ byteOffset, bytes, take: (blocks) => this.#takeVector(info, format, blocks) }];
    }
    return this.#openMatrix(info, format, shape);
  }

  #takeVector(info: TensorInfo, format: WeightFormat, blocks: Uint8Array): void {
    this.#vectors.set(info.name, format.decode(blocks) as Float32Array<ArrayBuffer>);
  }

  #openTable(info: TensorInfo, idsBelow: number): TensorPart[] {
    const [rows, cols] = info.shape as [number, number];
    const buffer = this.#context.memory.storage(info.name, 4 * rows * cols);
    this.#tables.set(info.name, { buffer, rows, cols });
    const { queue } = this.#context.device;
    const parts: TensorPart[] = [];
    for (let first = 0; first < info.bytes; first += READ_BYTES) {
      const bytes = Math.min(READ_BYTES, info.bytes - first);
      const take = (read: Uint8Array) =>
        queue.writeBuffer(buffer, first, readIds(info, read, idsBelow));
      parts.push({ byteOffset: info.byteOffset + first, bytes, take });
    }
    return parts;
  }

  #openMatrix(info: TensorInfo, format: WeightFormat, shape: readonly number[]): TensorPart[] {
    const cols = shape.at(-1)!;
    const rows = shape.slice(0, -1).reduce((a, b) => a * b);
    const { memory } = this.#context;
    const parts = planRowParts(format, [rows, cols], memory.maxBytes).map((range) => ({
      ...range,
      buffer: memory.storage(info.name, planPlanes(format, range.rows * cols).bytes),
    }));
    this.#matrices.set(info.name, { parts, rows, cols, format });
    return parts.flatMap((part) => this.#openMatrixPart(info, format, cols, part));
  }

  #openMatrixPart(
    info: TensorInfo,
    format: WeightFormat,
    cols: number,
    { buffer, firstRow, rows }: GpuMatrixPart,
  ): TensorPart[] {
    const { offsets } = planPlanes(format, rows * cols);
    const { queue } = this.#context.device;
    const blocksOf = (count: number) => (count * cols) / format.blockWeights;
    const partOffset = info.byteOffset + blocksOf(firstRow) * format.blockBytes;
    const blockCount = blocksOf(rows);
    const pieceBlocks =
      Math.max(1, Math.floor(READ_BYTES / (format.blockBytes * PIECE_BLOCKS))) * PIECE_BLOCKS;
    const parts: TensorPart[] = [];
    for (let first = 0; first < blockCount; first += pieceBlocks) {
      const blocks = Math.min(pieceBlocks, blockCount - first);
      parts.push({
        byteOffset: partOffset + first * format.blockBytes,
        bytes: blocks * format.blockBytes,
        take(read) {
          // A plane's last part may end within a word; the plane is padded, so the word may be written whole.
          const planes = format.planeBlockBytes.map(
            (planeBytes) => new Uint8Array(Math.ceil((blocks * planeBytes) / 4) * 4),
          );
          format.repack(
            read,
            planes.map((plane, index) =>
              plane.subarray(0, blocks * format.planeBlockBytes[index]!),
            ),
          );
          for (const [index, plane] of planes.entries()) {
            const start = offsets[index]! + first * format.planeBlockBytes[index]!;
            queue.writeBuffer(buffer, start, plane);
          }
        },
      });
    }
    return parts;
  }
}
