/**
 * A block format's weights as whole numbers: `weight = quant * scale - min`, where the product is exact in f32 and the
 * difference rounded once to f32 is what `decode` gives, bit for bit.
 */
export interface IntegerForm {
  /** Weights that share a scale, and a min if there is one; a block holds a whole number of such groups. */
  readonly groupWeights: 16 | 32 | 256;
  /** Whether groups have a min; without, it is 0. */
  readonly hasMins: boolean;
  /**
   * Reads blocks `firstBlock` to `firstBlock + blocks - 1` of a matrix.
   * @param planes the planes of the whole matrix, as `repack` writes them; at any address
   */
  read(
    planes: readonly DataView[],
    firstBlock: number,
    blocks: number,
    target: IntegerTarget,
  ): void;
}

/** Where {@link IntegerForm.read} writes. Whoever reads many runs moves one target along and makes no garbage. */
export interface IntegerTarget {
  /** Quants in the order of their weights: 4 signed bytes a word, the first lowest. */
  readonly quants: Int32Array;
  /** The word at which the first block's quants go. */
  word: number;
  /** The scale of each group. */
  readonly scales: Float32Array;
  /** The min of each group; not written for a form without mins. */
  readonly mins: Float32Array;
  /** Where the first group's scale and min go. */
  group: number;
  /** How far behind each other the scales of neighbouring groups go. */
  groupStride: number;
}
