import source from "../../shaders/linear/matvec.wgsl?raw";
import { defineKernel, foldGrid } from "../gpu/kernel.ts";

/**
 * `y = scale (W x + bias) + residual` for one token, or `rows` of it from row `first_row` on.
 *
 * weight [rows, cols] in any format · x [cols] · bias, residual, y [all_rows] f32. `cols` is a multiple of 8.
 */
export const matvec = defineKernel({
  name: "matvec",
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
  grid: ({ rows }, { ROWS = 64 }) => foldGrid(Math.ceil(rows / ROWS)),
  work: ({ rows, cols, has_bias, has_residual }) => ({
    words: cols + rows * (1 + has_bias + has_residual),
    multiplyAdds: rows * cols,
    weights: { load_weights: rows * cols },
  }),
});
