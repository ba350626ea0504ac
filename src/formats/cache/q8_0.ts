import read from "../../../shaders/cache/q8_0.wgsl?raw";
import write from "../../../shaders/cache/store_q8_0.wgsl?raw";
import { BLOCK_NUMBERS, type CacheFormat, planCache } from "./format.ts";

/** The largest quant. */
const MOST = 127;

/**
 * Blocks of 32 signed bytes with a scale, as ggml's type of that name, but that the scale is an f32: it has the range
 * that keys need, no GPU takes small ones for 0, and whoever writes a head writes whole words.
 */
export const q8_0: CacheFormat = {
  name: "q8_0",
  headNumbers: BLOCK_NUMBERS,
  bitsPerNumber: 8,
  scaled: true,
  read,
  write,

  encode(numbers) {
    const { scalesFirst, words } = planCache(q8_0, numbers.length);
    const packed = new Uint32Array(words);
    const quants = new Int8Array(packed.buffer);
    const scales = new Float32Array(packed.buffer, 4 * scalesFirst);
    for (let first = 0; first < numbers.length; first += BLOCK_NUMBERS) {
      const block = numbers.subarray(first, first + BLOCK_NUMBERS);
      const top = block.reduce((highest, number) => Math.max(highest, Math.abs(number)), 0);
      const scale = Math.fround(top / MOST);
      scales[first / BLOCK_NUMBERS] = scale;
      quants.set(
        block.map((number) => (scale === 0 ? 0 : Math.round(number / scale))),
        first,
      );
    }
    return packed;
  },

  decode(words) {
    const { scalesFirst: quantWords, words: blockWords } = planCache(q8_0, BLOCK_NUMBERS);
    const blocks = words.length / blockWords;
    const own = words.slice();
    const scales = new Float32Array(own.buffer, 4 * quantWords * blocks);
    return Float32Array.from(
      new Int8Array(own.buffer, 0, blocks * BLOCK_NUMBERS),
      (quant, index) => quant * scales[Math.floor(index / BLOCK_NUMBERS)]!,
    );
  },
};
