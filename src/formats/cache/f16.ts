import read from "../../../shaders/cache/f16.wgsl?raw";
import write from "../../../shaders/cache/store_f16.wgsl?raw";
import { f16ToF32, f32ToF16 } from "../../numeric/f16.ts";
import type { CacheFormat } from "./format.ts";

/** Half of f32's bytes; numbers beyond 65504 are cut to it. */
export const f16: CacheFormat = {
  name: "f16",
  headNumbers: 4,
  bitsPerNumber: 16,
  scaled: false,
  read,
  write,

  encode(numbers) {
    const halves = Uint16Array.from(numbers, (number) =>
      f32ToF16(Math.min(LARGEST, Math.max(-LARGEST, number))),
    );
    return new Uint32Array(halves.buffer);
  },

  decode(words) {
    const halves = new Uint16Array(words.slice().buffer);
    return Float32Array.from(halves, f16ToF32);
  },
};

const LARGEST = 65_504;
