import type { IntegerForm } from "./integers.ts";

/**
 * A way to store weights. One object holds its layout in a GGUF, its layout on the GPU, its shader part and its
 * reference decode.
 *
 * On the GPU a matrix is a run of 32-bit words cut into *planes* (quants, scales, ...), one after another, each
 * padded to {@link PLANE_ALIGNMENT} bytes. A plane holds a fixed number of bytes for each block, so any run of
 * blocks can be repacked and uploaded by itself.
 */
export interface WeightFormat {
  /** The name that tools print, lower case, as ggml spells it: `q4_k`. */
  readonly name: string;
  /** The tensor type's number in a GGUF. */
  readonly ggmlType: number;
  /** Weights in a block; a row's length is a multiple of it. */
  readonly blockWeights: number;
  /** Bytes of a block in a GGUF. */
  readonly blockBytes: number;
  /** Bytes that a block takes in each plane on the GPU, in order. */
  readonly planeBlockBytes: readonly number[];
  /**
   * WGSL with `fn load_NAME(base: u32, count: u32, unit: u32) -> array<vec4f, 2>`, NAME being the format's, and the
   * shared parts that it calls. See `shaders/formats/shared/weights.wgsl`.
   */
  readonly parts: readonly string[];
  /** The same where the buffer holds one matrix and nothing else, with a binding of its own, for formats that gain by it. */
  readonly aloneParts?: readonly string[];
  /**
   * Whether `parts` have, in the place of `load_NAME`, `fn scale_NAME(base: u32, count: u32, unit: u32) -> vec2f`, which is
   * the same for four units from a multiple of four on, and `fn unit_NAME(base: u32, count: u32, unit: u32, scale: vec2f)
   * -> array<vec4f, 2>`.
   */
  readonly isScaled?: boolean;
  /**
   * WGSL with `fn block_NAME(base: u32, count: u32, block: u32) -> WeightBlock`, and the shared parts that it calls, for
   * products of integers. A format without them is always multiplied as it is. See
   * `shaders/formats/shared/blocks.wgsl`.
   */
  readonly blockParts?: readonly string[];
  /**
   * Writes the planes of the blocks in `blocks`.
   * @param planes one array for each plane, `blockCount * planeBlockBytes[p]` bytes long, owned by the caller
   */
  repack(blocks: Uint8Array, planes: readonly Uint8Array[]): void;
  /** The weights that `blocks` stand for, exactly as the shader must see them: the reference of its tests. */
  decode(blocks: Uint8Array): Float32Array;
  /** How a matrix is read as whole numbers and scales; a format of blocks has it. */
  readonly integers?: IntegerForm;
  /**
   * Reads weights `first` to `first + count - 1` of a matrix as the bits of f32, into `target` from index `at` on; a format
   * of floats has it.
   * @param plane the only plane of the whole matrix, at any address
   */
  readFloats?(plane: DataView, first: number, count: number, target: Int32Array, at: number): void;
  /** GGUF blocks near `weights`; for tests and tools, not a quantiser to ship models with. */
  encode(weights: Float32Array): Uint8Array<ArrayBuffer>;
}

/** Every plane starts at a multiple of this many bytes from the start of its matrix. */
export const PLANE_ALIGNMENT = 16;

/** Where the planes of a matrix of `weights` weights lie: byte offsets from its start, and its whole length. */
export function planPlanes(
  format: WeightFormat,
  weights: number,
): { readonly offsets: readonly number[]; readonly bytes: number } {
  const blocks = weights / format.blockWeights;
  const offsets: number[] = [];
  let bytes = 0;
  for (const blockBytes of format.planeBlockBytes) {
    offsets.push(bytes);
    bytes += Math.ceil((blocks * blockBytes) / PLANE_ALIGNMENT) * PLANE_ALIGNMENT;
  }
  return { offsets, bytes };
}

/** A whole matrix in the GPU's layout. */
export function repackMatrix(format: WeightFormat, blocks: Uint8Array): Uint8Array<ArrayBuffer> {
  const count = blocks.byteLength / format.blockBytes;
  const { offsets, bytes } = planPlanes(format, count * format.blockWeights);
  const packed = new Uint8Array(bytes);
  const planes = format.planeBlockBytes.map((blockBytes, plane) =>
    packed.subarray(offsets[plane]!, offsets[plane]! + count * blockBytes),
  );
  format.repack(blocks, planes);
  return packed;
}
