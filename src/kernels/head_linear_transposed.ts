import source from "../../shaders/linear/head_linear_transposed.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * A product with a transposed matrix for each head: `y[head] = W[head]ᵀ x[head]`, over some of the rows of each head's
 * matrix.
 *
 * weight [heads, head_rows, cols] in any format · x [tokens, heads, x_width], with room for a multiple of `TOKENS`
 * tokens · y [tokens, heads, cols] f32. `cols` is a multiple of 8; `TOKENS` is 1 or 4.
 */
export const headLinearTransposed = defineKernel({
  name: "head_linear_transposed",
  source,
  params: {
    heads: "u32",
    head_rows: "u32",
    first_row: "u32",
    rows: "u32",
    cols: "u32",
    x_width: "u32",
  },
  buffers: { x: "read", y: "read_write" },
  weights: true,
  control: "read",
  constants: { LANES: 1, ROWS: 64, TOKENS: 1 },
  grid: ({ cols, heads }, { ROWS = 64, TOKENS = 1 }, tokens) => [
    Math.ceil(cols / 8 / ROWS),
    heads,
    Math.ceil(tokens / TOKENS),
  ],
  work: ({ heads, rows, cols }, _constants, { tokens }) => ({
    words: tokens * heads * (rows + cols),
    multiplyAdds: tokens * heads * rows * cols,
    weights: { load_weights: heads * rows * cols },
  }),
});
