import { SluiceError } from "../errors.ts";
import { GGML_TYPES } from "./ggml-types.ts";

/** Where a tensor lies in a file and how it is stored. */
export interface TensorInfo {
  readonly name: string;
  /** ggml's number of the type; it may be one that {@link GGML_TYPES} lacks. */
  readonly ggmlType: number;
  /** Row-major, the last dimension contiguous: `[rows, cols]`, `[experts, rows, cols]`. */
  readonly shape: readonly number[];
  /** From the start of the file, or of all files of a split model. */
  readonly byteOffset: number;
  /** Of an unknown type: up to the next tensor or the end of the file. */
  readonly bytes: number;
  /**
   * Where the matrix of each expert of a stack starts, if they do not lie one behind another; `byteOffset` is that of
   * the first. See `stackExperts`.
   */
  readonly slices?: readonly number[];
}

/** A line of a file's tensor table, as the parser gives it: dimensions innermost first. */
interface RawTensor {
  readonly name: string;
  readonly dtype: number;
  readonly shape: readonly bigint[];
  readonly offset: bigint;
}

/** What of the file bounds its tensors. */
export interface TensorSpace {
  readonly name: string;
  readonly bytes: number;
  /** Where the file starts in its source: not at 0 for a later part of a split model. */
  readonly start: number;
  /** Where the header ends; the data begin at the next multiple of `alignment`. */
  readonly dataOffset: number;
  readonly alignment: number;
}

/**
 * The tensors of a file by name, each seen to lie inside it.
 *
 * Throws "bad-file" for a table that contradicts itself, "truncated-file" naming a tensor that
 * reaches past the end.
 */
export function tensorTable(
  raw: readonly RawTensor[],
  space: TensorSpace,
): ReadonlyMap<string, TensorInfo> {
  const { alignment } = space;
  if (alignment === 0 || alignment % 8 !== 0 || alignment > 1 << 20) {
    throw bad(space, `general.alignment is ${alignment}, not a multiple of 8 up to 1048576`);
  }
  const start = Math.ceil(space.dataOffset / alignment) * alignment;
  const offsets = raw.map((tensor) => byteOffset(tensor, start, space));
  const sorted = [...new Set(offsets), space.bytes].sort((a, b) => a - b);
  const following = new Map(sorted.map((offset, index) => [offset, sorted[index + 1]]));

  const tensors = new Map<string, TensorInfo>();
  raw.forEach((tensor, index) => {
    if (tensors.has(tensor.name)) throw bad(space, `tensor ${tensor.name} appears twice`);
    const shape = rowMajorShape(tensor, space);
    const offset = offsets[index] ?? start;
    const rest = Math.max(0, (following.get(offset) ?? space.bytes) - offset);
    const bytes = storedBytes(tensor, shape, space) ?? rest;
    if (offset + bytes > space.bytes) throw truncated(space, tensor.name, offset, bytes);
    const { name, dtype } = tensor;
    tensors.set(name, { name, ggmlType: dtype, shape, byteOffset: space.start + offset, bytes });
  });
  return tensors;
}

function byteOffset(tensor: RawTensor, start: number, space: TensorSpace): number {
  const offset = Number(tensor.offset);
  if (!Number.isSafeInteger(start + offset)) {
    throw bad(space, `tensor ${tensor.name} lies at the impossible offset ${tensor.offset}`);
  }
  if (offset % space.alignment !== 0) {
    throw bad(
      space,
      `tensor ${tensor.name} lies at offset ${offset}, not a multiple of ${space.alignment}`,
    );
  }
  if (start + offset > space.bytes) throw truncated(space, tensor.name, start + offset, 0);
  return start + offset;
}

function rowMajorShape(tensor: RawTensor, space: TensorSpace): number[] {
  const shape = tensor.shape.map(Number).reverse();
  const weights = shape.reduce((product, length) => product * length, 1);
  if (shape.includes(0) || !Number.isSafeInteger(weights)) {
    throw bad(space, `tensor ${tensor.name} has the impossible shape [${shape.join(", ")}]`);
  }
  return shape;
}

/** Bytes by the type's block size; undefined for an unknown type. */
function storedBytes(tensor: RawTensor, shape: number[], space: TensorSpace): number | undefined {
  const type = GGML_TYPES.get(tensor.dtype);
  if (type === undefined) return undefined;
  const cols = shape.at(-1) ?? 1;
  if (cols % type.blockWeights !== 0) {
    throw bad(
      space,
      `tensor ${tensor.name} has rows of ${cols} weights, not a multiple of the ${type.blockWeights} of ${type.name}`,
    );
  }
  const weights = shape.reduce((product, length) => product * length, 1);
  return (weights / type.blockWeights) * type.blockBytes;
}

function bad(space: TensorSpace, what: string): SluiceError {
  return new SluiceError(
    "bad-file",
    `${space.name}: ${what}. The file is damaged; get it again or use another.`,
  );
}

function truncated(space: TensorSpace, name: string, offset: number, bytes: number): SluiceError {
  return new SluiceError(
    "truncated-file",
    `${space.name}: tensor ${name} wants ${bytes} bytes at ${offset}, but the file ends at ${space.bytes}. ` +
      "It is cut short; download or copy it again.",
  );
}
