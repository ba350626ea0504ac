import read from "../../../shaders/cache/q8_0.wgsl?raw";
import write from "../../../shaders/cache/store_q8_0.wgsl?raw";
import { bf16ToF32 } from "../../numeric/bf16.ts";
import { type CacheFormat, planCache } from "./format.ts";

const BLOCK_NUMBERS = 32;
/** The largest quant. */
const MOST = 127;

/**
 * Blocks of 32 signed bytes with a scale, as ggml's type of that name, but that the scale is the upper half of an f32:
 * it has the range that keys need, and no GPU takes small ones for 0.
 */
export const q8_0: CacheFormat = {
  name: "q8_0",
  unitNumbers: 2 * BLOCK_NUMBERS,
  bitsPerNumber: 8,
  scaleWords: 1,
  read,
  write,

  encode(numbers) {
    const { scalesFirst, words } = planCache(q8_0, numbers.length);
    const packed = new Uint32Array(words);
    const quants = new Int8Array(packed.buffer);
    const scales = new Uint16Array(packed.buffer, 4 * scalesFirst);
    for (let first = 0; first < numbers.length; first += BLOCK_NUMBERS) {
      const block = numbers.subarray(first, first + BLOCK_NUMBERS);
      const top = block.reduce((highest, number) => Math.max(highest, Math.abs(number)), 0);
      // Rounded up, so that no quant exceeds 127.
      const bits = (bitsOf(top / MOST) + 0xffff) >>> 16;
      scales[first / BLOCK_NUMBERS] = bits;
      const scale = bf16ToF32(bits);
      quants.set(
        block.map((number) => (scale === 0 ? 0 : Math.round(number / scale))),
        first,
      );
    }
    return packed;
  },

  decode(words) {
    const numbers = (words.length / 17) * 2 * BLOCK_NUMBERS;
    const { scalesFirst } = planCache(q8_0, numbers);
    const own = words.slice();
    const scales = new Uint16Array(own.buffer, 4 * scalesFirst);
    return Float32Array.from(
      new Int8Array(own.buffer, 0, numbers),
      (quant, index) => quant * bf16ToF32(scales[Math.floor(index / BLOCK_NUMBERS)]!),
    );
  },
};

/** The bits of the f32 nearest to `value`. */
function bitsOf(value: number): number {
  return new Uint32Array(Float32Array.of(value).buffer)[0]!;
}
