import source from "../../shaders/linear/matmul.wgsl?raw";
import { defineKernel, foldGrid } from "../gpu/kernel.ts";
import { NO_VECTOR, TILE_ROWS } from "./matvec.ts";

/** Tokens for which a weight is decoded once. */
export const TILE_TOKENS = 8;

/**
 * `y = scale (W input + bias) + residual` for several tokens, or `rows` of it from row `first_row` on; the input is x or
 * its RMS norm.
 *
 * weight [rows, cols] in any format · x [tokens, cols] · vectors: the norm's weights, then the bias [rows] from where
 * params say, `NO_VECTOR` for none · residual, y [tokens, all_rows] f32. `cols` is a multiple of 8; x has room for a
 * multiple of 8 tokens.
 */
export const matmul = defineKernel({
  name: "matmul",
  source,
  params: {
    rows: "u32",
    cols: "u32",
    bias: "u32",
    first_row: "u32",
    all_rows: "u32",
    has_residual: "u32",
    scale: "f32",
    epsilon: "f32",
  },
  buffers: { x: "read", vectors: "read", residual: "read", y: "read_write" },
  weights: true,
  control: "read",
  constants: { LANES: 1, ROWS: 16 },
  grid: ({ rows }, { ROWS = 16 }, tokens) =>
    foldGrid(Math.ceil(rows / (TILE_ROWS * ROWS)), Math.ceil(tokens / TILE_TOKENS)),
  work: ({ rows, cols, bias, has_residual }, _constants, { tokens }) => ({
    words: tokens * (cols + rows * (1 + has_residual)) + (bias === NO_VECTOR ? 0 : rows),
    multiplyAdds: tokens * rows * cols,
    weights: { load_weights: rows * cols },
  }),
});
