import source from "../../shaders/norm/joined_norms.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * `(norm(norm(a) + norm(b)) + residual) * scale`, each an RMS norm of a token's row with weights of its own.
 *
 * a, b (from quad `b_first` on), residual, y [tokens, width] · weights [3, width]: of a, of b, of their sum · scale [1], all f32. `width` is a
 * multiple of 4.
 */
export const joinedNorms = defineKernel({
  name: "joined_norms",
  source,
  params: { width: "u32", b_first: "u32", epsilon: "f32", has_residual: "u32", has_scale: "u32" },
  buffers: {
    a: "read",
    b: "read",
    weights: "read",
    residual: "read",
    scale: "read",
    y: "read_write",
  },
  weights: false,
  control: "read",
  constants: { LANES: 64, ROWS: 1 },
  grid: (_params, _constants, tokens) => [tokens, 1, 1],
  work: ({ width, has_residual }, _constants, { tokens }) => ({
    words: tokens * width * (3 + has_residual) + 3 * width,
    multiplyAdds: tokens * 6 * width,
  }),
});
