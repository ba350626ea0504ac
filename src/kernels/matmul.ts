import source from "../../shaders/linear/matmul.wgsl?raw";
import { defineKernel, foldGrid } from "../gpu/kernel.ts";

/**
 * `y = scale (x Wᵀ + bias) + residual` for several tokens, 4 at a time, or `rows` of each token's row from `first_row` on.
 *
 * weight [rows, cols] in any format · x [tokens, cols], with room for a multiple of 4 tokens · bias [all_rows] · residual, y [tokens, all_rows]
 * f32. `cols` is a multiple of 8.
 */
export const matmul = defineKernel({
  name: "matmul",
  source,
  params: {
    rows: "u32",
    cols: "u32",
    has_bias: "u32",
    has_residual: "u32",
    first_row: "u32",
    all_rows: "u32",
    scale: "f32",
  },
  buffers: { x: "read", bias: "read", residual: "read", y: "read_write" },
  weights: true,
  control: "read",
  constants: { LANES: 1, ROWS: 64 },
  grid: ({ rows }, { ROWS = 64 }, tokens) =>
    foldGrid(Math.ceil(rows / ROWS), Math.ceil(tokens / 4)),
  work: ({ rows, cols, has_bias, has_residual }, _constants, { tokens }) => ({
    words: tokens * (cols + rows * (1 + has_residual)) + rows * has_bias,
    multiplyAdds: tokens * rows * cols,
    weights: { load_weights: rows * cols },
  }),
});
