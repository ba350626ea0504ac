import read from "../../../shaders/cache/f32.wgsl?raw";
import type { CacheFormat } from "./format.ts";

/** As they are computed. */
export const f32: CacheFormat = {
  name: "f32",
  unitNumbers: 4,
  bitsPerNumber: 32,
  scaleWords: 0,
  read,
  write: undefined,
  encode: (numbers) => new Uint32Array(numbers.slice().buffer),
  decode: (words) => new Float32Array(words.slice().buffer),
};
