import read from "../../../shaders/cache/f32.wgsl?raw";
import write from "../../../shaders/cache/store_f32.wgsl?raw";
import type { CacheFormat } from "./format.ts";

/** As they are computed. */
export const f32: CacheFormat = {
  name: "f32",
  headNumbers: 4,
  bitsPerNumber: 32,
  scaled: false,
  read,
  write,
  encode: (numbers) => new Uint32Array(numbers.slice().buffer),
  decode: (words) => new Float32Array(words.slice().buffer),
};
