import source from "../../shaders/norm/layer_norm.wgsl?raw";
import statistics from "../../shaders/norm/statistics.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * Layer norm of each token's row; without `centred` its mean is taken for 0.
 *
 * x, y [tokens, width] · weight_bias [2, width], all f32. `width` is a multiple of 4.
 */
export const layerNorm = defineKernel({
  name: "layer_norm",
  source: `${source}\n${statistics}`,
  params: { width: "u32", epsilon: "f32", centred: "u32" },
  buffers: { x: "read", weight_bias: "read", y: "read_write" },
  weights: false,
  control: "read",
  constants: { LANES: 64, ROWS: 1 },
  grid: (_params, _constants, tokens) => [tokens, 1, 1],
  work: ({ width }, _constants, { tokens }) => ({
    words: tokens * 2 * width + 2 * width,
    multiplyAdds: tokens * 3 * width,
  }),
});
