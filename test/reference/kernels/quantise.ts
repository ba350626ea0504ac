import type { WeightFormat } from "../../../src/formats/format.ts";
import { BLOCK_BYTES, BLOCK_NUMBERS } from "../../../src/kernels/quantise.ts";
import { viewOf } from "../../../src/numeric/bits.ts";
import { f16ToF32 } from "../../../src/numeric/f16.ts";
import type { Bounded } from "../../helpers/within.ts";
import { bounded, finished, type ProductOptions, ROUNDING, type Value } from "./bounds.ts";

const BLOCK_WORDS = BLOCK_BYTES / 4;
/** Words of a block before its sums, scale and largest magnitude. */
const BYTE_WORDS = BLOCK_NUMBERS / 4;
/** The greatest byte. */
const MOST_BYTE = 127;
/** A block of smaller numbers counts as 0. */
const SMALLEST_BLOCK = 1e-30;

/** A block as it lies in a buffer. */
export interface Block {
  readonly bytes: Int8Array;
  /** Of the first and of the last 16 bytes. */
  readonly sums: readonly [number, number];
  readonly scale: number;
  readonly largest: number;
}

/** The blocks in `words`. */
export function readBlocks(words: Uint32Array): Block[] {
  return Array.from({ length: Math.floor(words.length / BLOCK_WORDS) }, (_, index) => {
    const own = words.slice(index * BLOCK_WORDS, (index + 1) * BLOCK_WORDS);
    const [low, high, scale, largest] = new Float32Array(own.buffer, 4 * BYTE_WORDS);
    const bytes = new Int8Array(own.buffer, 0, BLOCK_NUMBERS);
    return { bytes, sums: [low!, high!], scale: scale!, largest: largest! };
  });
}

/** The numbers that `words` stand for. */
export function blockNumbers(words: Uint32Array): Float64Array {
  return Float64Array.from(
    readBlocks(words).flatMap(({ bytes, scale }) => Array.from(bytes, (byte) => byte * scale)),
  );
}

/** `numbers` in blocks, as `quantise` writes them. */
export function packBlocks(numbers: Float32Array): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array((numbers.length / BLOCK_NUMBERS) * BLOCK_WORDS);
  for (let index = 0; index < numbers.length / BLOCK_NUMBERS; index++) {
    const own = numbers.subarray(index * BLOCK_NUMBERS, (index + 1) * BLOCK_NUMBERS);
    const largest = largestOf(own);
    const bytes = Int8Array.from(own, (number) => Math.round(quotient(number, largest)));
    const first = index * BLOCK_WORDS;
    words.set(new Uint32Array(bytes.buffer), first);
    const rest = new Float32Array([
      sum(bytes.subarray(0, BLOCK_NUMBERS / 2)),
      sum(bytes.subarray(BLOCK_NUMBERS / 2)),
      Math.fround(largest * Math.fround(1 / MOST_BYTE)),
      largest,
    ]);
    words.set(new Uint32Array(rest.buffer), first + BYTE_WORDS);
  }
  return words;
}

/** The greatest magnitude of a block's numbers. */
export function largestOf(numbers: ArrayLike<number>): number {
  return Math.max(...Array.from(numbers, Math.abs));
}

/** What the byte of `number` is the nearest whole number to, in a block whose greatest magnitude is `largest`. */
export function quotient(number: number, largest: number): number {
  return largest < SMALLEST_BLOCK ? 0 : (number * MOST_BYTE) / largest;
}

export function sum(bytes: Int8Array): number {
  return bytes.reduce((all, byte) => all + byte, 0);
}

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
  x: ArrayLike<number>,
  cols: number,
  options: ProductOptions = {},
): Bounded {
  const rows = weights.length / cols;
  const product = (row: number, token: number): Value => {
    let [value, magnitude] = [0, 0];
    for (let i = 0; i < cols; i++) {
      const number = x[token * cols + i]!;
      const weight = weights[row * cols + i]!;
      value += weight * number;
      magnitude += (Math.abs(weight) + 2 * offsets[row * cols + i]!) * Math.abs(number);
    }
    return { value, bound: cols * ROUNDING * magnitude };
  };
  return bounded(
    Array.from({ length: (x.length / cols) * rows }, (_, index) => {
      const [row, token] = [index % rows, Math.floor(index / rows)];
      return finished(product(row, token), row, index, options);
    }),
  );
}
