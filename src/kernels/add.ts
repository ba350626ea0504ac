import source from "../../shaders/act/add.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * `y = a + b`, or with `gated` `y = a + sigmoid(gate) * b`, one gate a token.
 *
 * a, b, y [tokens, width] · gate [tokens, 1], all f32.
 */
export const add = defineKernel({
  name: "add",
  source,
  params: { width: "u32", gated: "u32" },
  buffers: { a: "read", b: "read", gate: "read", y: "read_write" },
  weights: false,
  control: "read",
  constants: { LANES: 64 },
  grid: ({ width }, { LANES = 64 }, tokens) => [Math.ceil(width / LANES), tokens, 1],
  work: ({ width, gated }, _constants, { tokens }) => ({
    words: tokens * (3 * width + gated),
    multiplyAdds: tokens * width,
  }),
});
