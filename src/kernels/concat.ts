import source from "../../shaders/act/concat.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * Two rows of each token side by side.
 *
 * a [tokens, a_width] · b [tokens, b_width] · y [tokens, a_width + b_width], all f32.
 */
export const concat = defineKernel({
  name: "concat",
  source,
  params: { a_width: "u32", b_width: "u32" },
  buffers: { a: "read", b: "read", y: "read_write" },
  weights: false,
  control: "read",
  constants: { LANES: 64 },
  grid: ({ a_width, b_width }, { LANES = 64 }, tokens) => [
    Math.ceil((a_width + b_width) / LANES),
    tokens,
    1,
  ],
  work: ({ a_width, b_width }, _constants, { tokens }) => ({
    words: 2 * tokens * (a_width + b_width),
    multiplyAdds: 0,
  }),
});
