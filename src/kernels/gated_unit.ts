import source from "../../shaders/act/gated_unit.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * `y = gated(gate, up)`, elementwise.
 *
 * gate, up, y [tokens, width] f32.
 */
export const gatedUnit = defineKernel({
  name: "gated_unit",
  source,
  params: { width: "u32" },
  buffers: { gate: "read", up: "read", y: "read_write" },
  weights: false,
  control: "read",
  constants: { LANES: 64 },
  grid: ({ width }, { LANES = 64 }, tokens) => [Math.ceil(width / LANES), tokens, 1],
  work: ({ width }, _constants, { tokens }) => ({
    words: tokens * 3 * width,
    multiplyAdds: tokens * width,
  }),
});
