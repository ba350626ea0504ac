import { SluiceError } from "../errors.ts";
import type { WeightFormat } from "../formats/format.ts";
import { formatOfGgmlType, weightFormats } from "../formats/registry.ts";
import { ggmlTypeName } from "../gguf/ggml-types.ts";
import type { GgufFile, TensorInfo } from "../gguf/gguf.ts";

/** Reads of the file are at most this long, so that little of it is in memory at once. */
export const READ_BYTES = 4 * 1024 * 1024;

/** A gap of unwanted bytes up to this long is read through: it costs less than another request. */
const GAP_BYTES = 64 * 1024;

/** A piece of a tensor: where it lies in the file, and what to do with its bytes. */
export interface TensorPart {
  readonly byteOffset: number;
  readonly bytes: number;
  take(bytes: Uint8Array): void;
}

/**
 * Reads parts in the order in which they lie in the file; `onRead` is told the bytes of each read, and waited for.
 * Throws "truncated-file", "aborted" and what the source and the parts throw.
 */
export async function readParts(
  file: GgufFile,
  parts: readonly TensorPart[],
  onRead: (bytes: number) => Promise<void> | void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const sorted = [...parts].sort((a, b) => a.byteOffset - b.byteOffset);
  for (const run of runsOf(sorted)) {
    const first = run[0]!.byteOffset;
    const last = run.at(-1)!;
    const bytes = await file.source.read(first, last.byteOffset + last.bytes - first, { signal });
    for (const part of run) {
      const start = part.byteOffset - first;
      part.take(bytes.subarray(start, start + part.bytes));
    }
    await onRead(bytes.length);
  }
}

/** Groups parts, sorted by offset, into runs that one read brings. */
function* runsOf(parts: readonly TensorPart[]): Generator<TensorPart[]> {
  let run: TensorPart[] = [];
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
