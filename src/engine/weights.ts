import { SluiceError } from "../errors.ts";
import { planPlanes, type WeightFormat } from "../formats/format.ts";
import { formatOfGgmlType, weightFormats } from "../formats/registry.ts";
import { ggmlTypeName } from "../gguf/ggml-types.ts";
import type { GgufFile, TensorInfo } from "../gguf/gguf.ts";
import type { GpuContext } from "../gpu/device.ts";
import type { TensorSpec } from "../models/model.ts";
import type { GpuMatrix, GpuMatrixPart, GpuTable } from "../ops/gpu-resources.ts";
import { planRowParts } from "./matrix-parts.ts";

/** Reads of the file are at most this long, so that little of it is in memory at once. */
const READ_BYTES = 4 * 1024 * 1024;

/** A gap of unwanted bytes up to this long is read through: it costs less than another request. */
const GAP_BYTES = 64 * 1024;

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
    parts.sort((a, b) => a.byteOffset - b.byteOffset);
    let queuedBytes = 0;
    for (const run of runsOf(parts)) {
      const first = run[0]!.byteOffset;
      const last = run.at(-1)!;
      const bytes = await file.source.read(first, last.byteOffset + last.bytes - first, { signal });
      for (const part of run) {
        const start = part.byteOffset - first;
        part.take(bytes.subarray(start, start + part.bytes));
      }
      onBytes(bytes.length);
      queuedBytes += bytes.length;
      if (queuedBytes >= MAX_QUEUED_BYTES) {
        await this.#context.device.queue.onSubmittedWorkDone();
        queuedBytes = 0;
      }
    }
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
  #open(info: TensorInfo, { idsBelow, decoded, shape }: TensorSpec): Part[] {
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

  #openTable(info: TensorInfo, idsBelow: number): Part[] {
    const [rows, cols] = info.shape as [number, number];
    const buffer = this.#context.memory.storage(info.name, 4 * rows * cols);
    this.#tables.set(info.name, { buffer, rows, cols });
    const { queue } = this.#context.device;
    const parts: Part[] = [];
    for (let first = 0; first < info.bytes; first += READ_BYTES) {
      const bytes = Math.min(READ_BYTES, info.bytes - first);
      const take = (read: Uint8Array) =>
        queue.writeBuffer(buffer, first, readIds(info, read, idsBelow));
      parts.push({ byteOffset: info.byteOffset + first, bytes, take });
    }
    return parts;
  }

  #openMatrix(info: TensorInfo, format: WeightFormat, shape: readonly number[]): Part[] {
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
  ): Part[] {
    const { offsets } = planPlanes(format, rows * cols);
    const { queue } = this.#context.device;
    const blocksOf = (count: number) => (count * cols) / format.blockWeights;
    const partOffset = info.byteOffset + blocksOf(firstRow) * format.blockBytes;
    const blockCount = blocksOf(rows);
    const pieceBlocks =
      Math.max(1, Math.floor(READ_BYTES / (format.blockBytes * PIECE_BLOCKS))) * PIECE_BLOCKS;
    const parts: Part[] = [];
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

/** A piece of a tensor: where it lies in the file, and what to do with its bytes. */
interface Part {
  readonly byteOffset: number;
  readonly bytes: number;
  take(bytes: Uint8Array): void;
}

/** Groups parts, sorted by offset, into runs that one read brings. */
function* runsOf(parts: readonly Part[]): Generator<Part[]> {
  let run: Part[] = [];
  let first = 0;
  let end = 0;
  for (const part of parts) {
    const fits = part.byteOffset + part.bytes - first <= READ_BYTES;
    if (run.length > 0 && (!fits || part.byteOffset - end > GAP_BYTES)) {
      yield run;
      run = [];
    }
    if (run.length === 0) first = part.byteOffset;
    run.push(part);
    end = part.byteOffset + part.bytes;
  }
  if (run.length > 0) yield run;
}

/** A tensor that the model needs. Throws "bad-file" when the file does not have it. */
export function tensorOf(file: GgufFile, name: string): TensorInfo {
  const info = file.tensors.get(name);
  if (!info) {
    throw new SluiceError(
      "bad-file",
      `${file.source.name}: the tensor ${name} is missing. The file does not fit its architecture; get it again or use another.`,
    );
  }
  return info;
}

/** Bytes of an id in a file: I32 and F32 alike. */
const ID_BYTES = 4;

/** Number types that a table of ids is stored in, by GGML's numbers. */
const ID_TYPES: ReadonlyMap<number, "getInt32" | "getFloat32"> = new Map([
  [26, "getInt32"],
  [0, "getFloat32"],
]);

/** Ids as u32. Throws "unsupported-format", or "bad-file" for one that is no whole number below `idsBelow`. */
export function readIds(
  { name, ggmlType }: Pick<TensorInfo, "name" | "ggmlType">,
  bytes: Uint8Array,
  idsBelow: number,
): Uint32Array<ArrayBuffer> {
  const getter = ID_TYPES.get(ggmlType);
  if (!getter) {
    throw new SluiceError(
      "unsupported-format",
      `${name} is stored as GGML type ${ggmlType}; Sluice reads tables of ids as I32 or F32. Convert the model again.`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ids = new Uint32Array(bytes.length / ID_BYTES);
  for (let index = 0; index < ids.length; index++) {
    const id = view[getter](ID_BYTES * index, true);
    if (!Number.isInteger(id) || id < 0 || id >= idsBelow) {
      throw new SluiceError(
        "bad-file",
        `${name} holds the id ${id}; wanted a whole number from 0 to ${idsBelow - 1}. Get the file again or use another.`,
      );
    }
    ids[index] = id;
  }
  return ids;
}

/** How a tensor is stored. Throws "unsupported-format" naming it and what there is. */
export function formatOf(info: TensorInfo): WeightFormat {
  const format = formatOfGgmlType(info.ggmlType);
  if (!format) {
    throw new SluiceError(
      "unsupported-format",
      `${info.name} is stored as ${ggmlTypeName(info.ggmlType)}, which Sluice cannot read. It reads ${Object.values(
        weightFormats,
      )
        .map(({ ggmlType }) => ggmlTypeName(ggmlType))
        .join(", ")}: use a file in these.`,
    );
  }
  return format;
}
