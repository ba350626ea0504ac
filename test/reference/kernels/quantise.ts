/** What products read of blocks. */
export interface BlockNumbers {
  /** The numbers that the blocks stand for. */
  readonly data: Float64Array;
  /** Of numbers that are multiplied in f16: see `Run`. */
  readonly steps?: Float64Array;
}

/** How an input in blocks is made and read: an input format's reference. */
export interface BlockReference {
  /** `numbers` in blocks, as `quantise` writes them. */
  pack(numbers: Float32Array): Uint32Array<ArrayBuffer>;
  /** What the blocks in `words` stand for. */
  read(words: Uint32Array): BlockNumbers;
}

/** A block of smaller numbers counts as 0. */
export const SMALLEST_BLOCK = 1e-30;

/** The greatest magnitude of a block's numbers. */
export function largestOf(numbers: ArrayLike<number>): number {
  return Math.max(...Array.from(numbers, Math.abs));
}
