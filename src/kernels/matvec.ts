import source from "../../shaders/linear/matvec.wgsl?raw";
import { defineKernel, foldGrid } from "../gpu/kernel.ts";

/** Start of a vector that a kernel does not have. */
export const NO_VECTOR = 0xffff_ffff;

/** Rows that share what is read of an input. */
export const TILE_ROWS = 4;

/**
 * `y = scale (W input + bias) + residual` for one to three matrices of one input, x or its RMS norm; results stand side
 * by side. A token at a time.
 *
 * weight [rows_a, cols], [rows_b, cols] and [rows_c, cols], in any format, each in a buffer of its own; those that are
 * not there have no rows · x [tokens, cols] · vectors: the norm's weights, then biases from where params say,
 * {@link NO_VECTOR} for none · residual, y [tokens, all_rows] f32. `cols` is a multiple of 8.
 */
export const matvec = defineKernel({
  name: "matvec",
  source,
  params: {
    cols: "u32",
    rows_a: "u32",
    rows_b: "u32",
    rows_c: "u32",
    bias_a: "u32",
    bias_b: "u32",
    bias_c: "u32",
    first_row: "u32",
    all_rows: "u32",
    has_residual: "u32",
    scale: "f32",
    epsilon: "f32",
  },
  buffers: { x: "read", vectors: "read", residual: "read", y: "read_write" },
  weights: 3,
  control: "read",
  constants: { LANES: 1, ROWS: 16, FOURS: 1 },
  grid: ({ rows_a, rows_b, rows_c }, { ROWS = 16, FOURS = 1 }, tokens) => {
    const groups = [rows_a, rows_b, rows_c].map((rows) =>
      Math.ceil(rows / (TILE_ROWS * FOURS * ROWS)),
    );
    return foldGrid(
      groups.reduce((a, b) => a + b),
      tokens,
    );
  },
  work: ({ rows_a, rows_b, rows_c, cols, has_residual }, _constants, { tokens }) => {
    const rows = rows_a + rows_b + rows_c;
    return {
      words: tokens * (cols + rows * (1 + has_residual)),
      multiplyAdds: tokens * rows * cols,
      weights: {
        load_a: rows_a * cols,
        ...(rows_b > 0 && { load_b: rows_b * cols }),
        ...(rows_c > 0 && { load_c: rows_c * cols }),
      },
    };
  },
});
