import { formatOfGgmlType, weightFormats } from "../../src/formats/registry.ts";
import { openGguf } from "../../src/gguf/gguf.ts";
import { readHeader } from "../../src/gguf/header.ts";
import type { TensorInfo } from "../../src/gguf/tensors.ts";
import { memorySource } from "../../src/storage/memory-source.ts";
import { ByteWriter, type GgufTensor, writeTensorTable } from "./gguf-writer.ts";

/** An ordinary GGUF taken apart: its keys as they are in the file, and its tensors. */
interface Dismantled {
  readonly keys: Uint8Array;
  readonly keyCount: number;
  readonly tensors: readonly GgufTensor[];
}

const ALIGNMENT = 32;
const U16 = 2;
const I32 = 5;

/** How one file of a split model tells of itself. */
export interface SplitKeys {
  readonly no: number;
  readonly count: number;
  readonly tensorsCount: number;
}

/**
 * The model in as many files as there are counts, each with so many tensors, as llama.cpp's `gguf-split` writes them: the
 * first has all keys, and each tells of itself.
 * @param change what one file says in place of the truth
 */
export async function splitGguf(
  bytes: Uint8Array,
  counts: readonly number[],
  change: (keys: SplitKeys) => SplitKeys = (keys) => keys,
): Promise<Uint8Array<ArrayBuffer>[]> {
  const { keys, keyCount, tensors } = await dismantle(bytes);
  let first = 0;
  return counts.map((tensorCount, no) => {
    const part = tensors.slice(first, first + tensorCount);
    first += tensorCount;
    const split = change({ no, count: counts.length, tensorsCount: tensors.length });
    const own = new ByteWriter();
    own.string("split.no").u32(U16).raw(u16(split.no));
    own.string("split.count").u32(U16).raw(u16(split.count));
    own.string("split.tensors.count").u32(I32).u32(split.tensorsCount);
    const all = no === 0 ? [keys, own.finish()] : [own.finish()];
    return assemble({ keys: all, keyCount: (no === 0 ? keyCount : 0) + 3, tensors: part });
  });
}

/** The names of a model's files. */
export function partNames(model: string, count: number): string[] {
  const digits = (value: number) => String(value).padStart(5, "0");
  return Array.from(
    { length: count },
    (_, index) => `${model}-${digits(index + 1)}-of-${digits(count)}.gguf`,
  );
}

/** The same model with gate and up projections of experts in one tensor. */
export function withFusedGateUp(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return rewritten(bytes, (tensor, all) => {
    if (tensor.name.includes("ffn_up_exps")) return [];
    if (!tensor.name.includes("ffn_gate_exps")) return [tensor];
    const up = all.get(tensor.name.replace("gate", "up"))!;
    const [experts = 0, rows = 0, cols = 0] = tensor.shape;
    const bytesEach = tensor.data.length / experts;
    const data = new Uint8Array(2 * tensor.data.length);
    for (let expert = 0; expert < experts; expert++) {
      const slice = (from: Uint8Array) =>
        from.subarray(expert * bytesEach, (expert + 1) * bytesEach);
      data.set(slice(tensor.data), 2 * expert * bytesEach);
      data.set(slice(up.data), (2 * expert + 1) * bytesEach);
    }
    const name = tensor.name.replace("gate", "gate_up");
    return [{ ...tensor, name, shape: [experts, 2 * rows, cols], data }];
  });
}

/** The same model with a tensor for each expert, as conversions of the first Mixtral have them. */
export function withSingleExperts(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return rewritten(bytes, (tensor) => {
    if (!tensor.name.includes("_exps.weight")) return [tensor];
    const [experts = 0, ...shape] = tensor.shape;
    const bytesEach = tensor.data.length / experts;
    return Array.from({ length: experts }, (_, expert) => ({
      ...tensor,
      name: tensor.name.replace("_exps", `.${expert}`),
      shape,
      data: tensor.data.subarray(expert * bytesEach, (expert + 1) * bytesEach),
    }));
  });
}

/**
 * The model with its down projections stored by columns, `[experts, ffn, hidden]`, as PowerInfer converts SmallThinker.
 * Blocks then run along the other axis: with a block format the weights are others, near those of `bytes`.
 */
export function withTurnedDown(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return rewritten(bytes, (tensor) => {
    if (!tensor.name.includes("ffn_down_exps")) return [tensor];
    const [experts = 0, rows = 0, cols = 0] = tensor.shape;
    const format = formatOfGgmlType(tensor.ggmlType)!;
    const turned = turn(format.decode(tensor.data), [experts, rows, cols]);
    return [{ ...tensor, shape: [experts, cols, rows], data: format.encode(turned) }];
  });
}

/** The ordinary model that {@link withTurnedDown} made of `bytes` stands for: its down projections as F32, turned back. */
export function withDownAsTurned(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return rewritten(bytes, (tensor) => {
    if (!tensor.name.includes("ffn_down_exps")) return [tensor];
    const format = formatOfGgmlType(tensor.ggmlType)!;
    const [experts = 0, rows = 0, cols = 0] = tensor.shape;
    const turned = turn(format.decode(tensor.data), [experts, rows, cols]);
    const stored = format.decode(format.encode(turned));
    const data = weightFormats.f32.encode(turn(stored, [experts, cols, rows]));
    return [{ ...tensor, ggmlType: weightFormats.f32.ggmlType, data }];
  });
}

/** Each matrix `[rows, cols]` as `[cols, rows]`. */
function turn(weights: Float32Array, [experts, rows, cols]: readonly [number, number, number]) {
  const turned = new Float32Array(weights.length);
  for (let expert = 0; expert < experts; expert++) {
    const base = expert * rows * cols;
    for (let row = 0; row < rows; row++) {
      for (let col = 0; col < cols; col++) {
        turned[base + col * rows + row] = weights[base + row * cols + col]!;
      }
    }
  }
  return turned;
}

/** An ordinary model with some tensors put in the place of each of its own. */
async function rewritten(
  bytes: Uint8Array,
  change: (tensor: GgufTensor, all: ReadonlyMap<string, GgufTensor>) => readonly GgufTensor[],
): Promise<Uint8Array<ArrayBuffer>> {
  const { keys, keyCount, tensors } = await dismantle(bytes);
  const all = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const changed = tensors.flatMap((tensor) => change(tensor, all));
  return assemble({ keys: [keys], keyCount, tensors: changed });
}

async function dismantle(bytes: Uint8Array): Promise<Dismantled> {
  const source = memorySource(bytes);
  const [file, header] = await Promise.all([openGguf(source), readHeader(source, {})]);
  const infos = [...file.tensors.values()];
  const tableBytes = infos.reduce((sum, info) => sum + entryBytes(info), 0);
  const counts = new DataView(bytes.buffer, bytes.byteOffset);
  return {
    keys: bytes.subarray(24, header.fileBytes - tableBytes),
    keyCount: Number(counts.getBigUint64(16, true)),
    tensors: infos.map(({ name, ggmlType, shape, byteOffset, bytes: length }) => ({
      ...{ name, ggmlType, shape },
      data: bytes.slice(byteOffset, byteOffset + length),
    })),
  };
}

/** Bytes of a tensor's line in the table. */
function entryBytes({ name, shape }: TensorInfo): number {
  return 8 + new TextEncoder().encode(name).length + 4 + 8 * shape.length + 4 + 8;
}

function assemble(file: {
  readonly keys: readonly Uint8Array[];
  readonly keyCount: number;
  readonly tensors: readonly GgufTensor[];
}): Uint8Array<ArrayBuffer> {
  const { keys, keyCount, tensors } = file;
  const out = new ByteWriter().ascii("GGUF").u32(3).u64(tensors.length).u64(keyCount);
  for (const part of keys) out.raw(part);
  writeTensorTable(
    out,
    tensors.map((tensor) => ({ ...tensor, bytes: tensor.data.length })),
  );
  for (const { data } of tensors) out.align(ALIGNMENT).raw(data);
  return out.align(ALIGNMENT).finish();
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 255, value >> 8);
}
