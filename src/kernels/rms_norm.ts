import source from "../../shaders/norm/rms_norm.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * RMS norm of each token's row; with `FINISHES` 1 then `(norm + residual) * scale`.
 *
 * x, residual, y [tokens, width] · weight [width] · scale [1], all f32. `width` is a multiple of 4.
 */
export const rmsNorm = defineKernel({
  name: "rms_norm",
  source,
  params: {
    width: "u32",
    epsilon: "f32",
    has_residual: "u32",
    has_scale: "u32",
  },
  buffers: { x: "read", weight: "read", residual: "read", scale: "read", y: "read_write" },
  weights: false,
  control: "read",
  constants: { LANES: 64, ROWS: 1, FINISHES: 0 },
  grid: (_params, _constants, tokens) => [tokens, 1, 1],
  work: ({ width, has_residual }, _constants, { tokens }) => ({
    words: tokens * width * (2 + has_residual) + width,
    multiplyAdds: tokens * 2 * width,
  }),
});
