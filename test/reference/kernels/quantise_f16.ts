import { f16 } from "../../../src/formats/input/f16.ts";
import { BLOCK_NUMBERS } from "../../../src/formats/input/format.ts";
import { f16ToF32, f32ToF16 } from "../../../src/numeric/f16.ts";
import { SMALLEST_F16 } from "./bounds.ts";
import { type BlockReference, largestOf, SMALLEST_BLOCK } from "./quantise.ts";

const BLOCK_WORDS = f16.blockBytes / 4;
/** Words of a block before its sums and scale. */
const HALF_WORDS = BLOCK_NUMBERS / 2;
/** The largest half of a block is this or more, and at most twice as much. */
export const LEAST_LARGEST = 32;

/** A block of halves as it lies in a buffer. */
export interface HalfBlock {
  readonly halves: Float64Array;
  /** Of the first and of the last 16 halves. */
  readonly sums: readonly [number, number];
  readonly scale: number;
}

/** The blocks in `words`. */
export function readHalfBlocks(words: Uint32Array): HalfBlock[] {
  return Array.from({ length: Math.floor(words.length / BLOCK_WORDS) }, (_, index) => {
    const own = words.slice(index * BLOCK_WORDS, (index + 1) * BLOCK_WORDS);
    const [low, high, scale] = new Float32Array(own.buffer, 4 * HALF_WORDS);
    const halves = Float64Array.from(new Uint16Array(own.buffer, 0, BLOCK_NUMBERS), f16ToF32);
    return { halves, sums: [low!, high!], scale: scale! };
  });
}

/** Blocks of halves. */
export const f16Blocks: BlockReference = {
  pack(numbers) {
    const words = new Uint32Array((numbers.length / BLOCK_NUMBERS) * BLOCK_WORDS);
    for (let index = 0; index < numbers.length / BLOCK_NUMBERS; index++) {
      const own = numbers.subarray(index * BLOCK_NUMBERS, (index + 1) * BLOCK_NUMBERS);
      const scale = scaleOf(largestOf(own));
      const halves = Uint16Array.from(own, (number) =>
        scale === 0 ? 0 : f32ToF16(number / scale),
      );
      const values = Array.from(halves, f16ToF32);
      const first = index * BLOCK_WORDS;
      words.set(new Uint32Array(halves.buffer), first);
      const middle = BLOCK_NUMBERS / 2;
      const rest = [sum(values.slice(0, middle)), sum(values.slice(middle)), scale, 0];
      words.set(new Uint32Array(new Float32Array(rest).buffer), first + HALF_WORDS);
    }
    return words;
  },

  read(words) {
    const blocks = readHalfBlocks(words);
    return {
      data: Float64Array.from(
        blocks.flatMap(({ halves, scale }) => Array.from(halves, (half) => half * scale)),
      ),
      steps: Float64Array.from(
        blocks.flatMap(({ scale }) => new Array<number>(BLOCK_NUMBERS).fill(scale * SMALLEST_F16)),
      ),
    };
  },
};

/** The power of two by which a block whose largest magnitude is `largest` is divided. */
function scaleOf(largest: number): number {
  return largest < SMALLEST_BLOCK ? 0 : 2 ** Math.floor(Math.log2(largest)) / LEAST_LARGEST;
}

export function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}
