import source from "../../shaders/norm/rms_norm.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * RMS norm of each token's row.
 *
 * x, y [tokens, width] · weight [width], all f32. `width` is a multiple of 4.
 */
export const rmsNorm = defineKernel({
  name: "rms_norm",
  source,
  params: { width: "u32", epsilon: "f32" },
  buffers: { x: "read", weight: "read", y: "read_write" },
  weights: false,
  control: "read",
  constants: { LANES: 64, ROWS: 1 },
  grid: (_params, _constants, tokens) => [tokens, 1, 1],
});
