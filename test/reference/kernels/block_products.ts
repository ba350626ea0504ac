import type { WeightFormat } from "../../../src/formats/format.ts";
import { viewOf } from "../../../src/numeric/bits.ts";
import { f16ToF32 } from "../../../src/numeric/f16.ts";
import type { Bounded } from "../../helpers/within.ts";
import {
  bounded,
  finished,
  halfLoss,
  type ProductOptions,
  ROUNDING,
  type Value,
} from "./bounds.ts";
import type { BlockNumbers } from "./quantise.ts";

/** The greatest magnitude of what is added to a block's weights after their scale, for each weight of a matrix. */
export function offsetsOf(format: WeightFormat, blocks: Uint8Array): Float64Array {
  const { blockBytes, blockWeights } = format;
  const most = MOST_OFFSET[format.name] ?? (() => 0);
  const count = blocks.byteLength / blockBytes;
  const offsets = new Float64Array(count * blockWeights);
  for (let block = 0; block < count; block++) {
    const bytes = viewOf(blocks.subarray(block * blockBytes, (block + 1) * blockBytes));
    offsets.fill(Math.abs(most(bytes)), block * blockWeights, (block + 1) * blockWeights);
  }
  return offsets;
}

const halfAt = (byte: number) => (block: DataView) => f16ToF32(block.getUint16(byte, true));
const MOST_OFFSET: Readonly<Record<string, (block: DataView) => number>> = {
  q4_1: halfAt(2),
  q5_1: halfAt(2),
  q4_k: (block) => 63 * halfAt(2)(block),
  q5_k: (block) => 63 * halfAt(2)(block),
  q2_k: (block) => 15 * halfAt(82)(block),
};

/** A matrix whose blocks are multiplied as integers. */
export interface BlockMatrix {
  readonly weights: ArrayLike<number>;
  /** What `offsetsOf` gives. */
  readonly offsets: ArrayLike<number>;
}

/**
 * `scale * (x Wᵀ + bias) + residual`. x [tokens, cols]: numbers of blocks. The bound is that of a sum of numbers; integers
 * take fewer roundings, but an offset may be much greater than the weights that it makes.
 */
export function blockProductReference(
  { weights, offsets }: BlockMatrix,
  { data, steps }: BlockNumbers,
  cols: number,
  options: ProductOptions = {},
): Bounded {
  const rows = weights.length / cols;
  const product = (row: number, token: number): Value => {
    let [value, magnitude, lost] = [0, 0, 0];
    for (let i = 0; i < cols; i++) {
      const at = token * cols + i;
      const number = data[at]!;
      const weight = weights[row * cols + i]!;
      const offset = offsets[row * cols + i]!;
      value += weight * number;
      magnitude += (Math.abs(weight) + 2 * offset) * Math.abs(number);
      // In f16 it is the quant that is multiplied, without its offset.
      if (steps) lost += halfLoss(Math.abs(weight) + offset, number, steps[at]!);
    }
    return { value, bound: lost + cols * ROUNDING * (magnitude + lost) };
  };
  return bounded(
    Array.from({ length: (data.length / cols) * rows }, (_, index) => {
      const [row, token] = [index % rows, Math.floor(index / rows)];
      return finished(product(row, token), row, index, options);
    }),
  );
}
