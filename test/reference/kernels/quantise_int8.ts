import { BLOCK_NUMBERS } from "../../../src/formats/input/format.ts";
import { int8 } from "../../../src/formats/input/int8.ts";
import { type BlockReference, largestOf, SMALLEST_BLOCK } from "./quantise.ts";

const BLOCK_WORDS = int8.blockBytes / 4;
/** Words of a block before its sums, scale and largest magnitude. */
const BYTE_WORDS = BLOCK_NUMBERS / 4;
/** The greatest byte. */
const MOST_BYTE = 127;

/** A block of bytes as it lies in a buffer. */
export interface ByteBlock {
  readonly bytes: Int8Array;
  /** Of the first and of the last 16 bytes. */
  readonly sums: readonly [number, number];
  readonly scale: number;
  readonly largest: number;
}

/** The blocks in `words`. */
export function readByteBlocks(words: Uint32Array): ByteBlock[] {
  return Array.from({ length: Math.floor(words.length / BLOCK_WORDS) }, (_, index) => {
    const own = words.slice(index * BLOCK_WORDS, (index + 1) * BLOCK_WORDS);
    const [low, high, scale, largest] = new Float32Array(own.buffer, 4 * BYTE_WORDS);
    const bytes = new Int8Array(own.buffer, 0, BLOCK_NUMBERS);
    return { bytes, sums: [low!, high!], scale: scale!, largest: largest! };
  });
}

/** Blocks of signed bytes. */
export const int8Blocks: BlockReference = {
  pack(numbers) {
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
  },

  read: (words) => ({
    data: Float64Array.from(
      readByteBlocks(words).flatMap(({ bytes, scale }) =>
        Array.from(bytes, (byte) => byte * scale),
      ),
    ),
  }),
};

/** What the byte of `number` is the nearest whole number to, in a block whose greatest magnitude is `largest`. */
export function quotient(number: number, largest: number): number {
  return largest < SMALLEST_BLOCK ? 0 : (number * MOST_BYTE) / largest;
}

export function sum(bytes: Int8Array): number {
  return bytes.reduce((all, byte) => all + byte, 0);
}
