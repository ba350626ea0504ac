import source from "../../shaders/recurrent/gated_norm.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * RMS norm of `act(gates) * x`, over each group of a token's row.
 *
 * x, y [tokens, groups, width] · gates [tokens, gates_width] · weight [groups, width], all f32.
 */
export const gatedNorm = defineKernel({
  name: "gated_norm",
  source,
  params: { groups: "u32", width: "u32", gates_width: "u32", epsilon: "f32" },
  buffers: { x: "read", gates: "read", weight: "read", y: "read_write" },
  weights: false,
  control: "read",
  constants: { LANES: 64, ROWS: 1 },
  grid: ({ groups }, _constants, tokens) => [groups, tokens, 1],
  work: ({ groups, width }, _constants, { tokens }) => ({
    words: tokens * groups * 3 * width + groups * width,
    multiplyAdds: tokens * groups * 3 * width,
  }),
});
