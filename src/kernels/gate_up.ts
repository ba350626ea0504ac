import source from "../../shaders/linear/gate_up.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";
import { TILE_ROWS } from "./matvec.ts";

/**
 * `gated(gate input, up input)` of a dense network; the input is x or its RMS norm. A token at a time.
 *
 * gate, up [rows, cols], each in a buffer and a format of its own · x [tokens, cols] · vectors: the norm's weights
 * [cols] · y [tokens, rows]. `cols` is a multiple of 8.
 */
export const gateUp = defineKernel({
  name: "gate_up",
  source,
  params: { rows: "u32", cols: "u32", epsilon: "f32" },
  buffers: { x: "read", vectors: "read", y: "read_write" },
  weights: 2,
  control: "read",
  constants: { LANES: 1, ROWS: 16, FOURS: 1 },
  grid: ({ rows }, { ROWS = 16, FOURS = 1 }, tokens) => [
    Math.ceil(rows / (TILE_ROWS * FOURS * ROWS)),
    tokens,
    1,
  ],
  work: ({ rows, cols }, _constants, { tokens }) => ({
    words: tokens * (cols + rows),
    multiplyAdds: 2 * tokens * rows * cols,
    weights: { load_gate: rows * cols, load_up: rows * cols },
  }),
});
