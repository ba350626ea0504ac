import source from "../../shaders/act/softcap.wgsl?raw";
import { defineKernel, foldGrid } from "../gpu/kernel.ts";

/**
 * `y = cap * tanh(x / cap)`, elementwise.
 *
 * x, y [tokens, width] f32.
 */
export const softcap = defineKernel({
  name: "softcap",
  source,
  params: { width: "u32", cap: "f32" },
  buffers: { x: "read", y: "read_write" },
  weights: false,
  control: "read",
  constants: { LANES: 64 },
  grid: ({ width }, { LANES = 64 }, tokens) => foldGrid(Math.ceil(width / LANES), tokens),
  work: ({ width }, _constants, { tokens }) => ({
    words: tokens * 2 * width,
    multiplyAdds: tokens * 2 * width,
  }),
});
