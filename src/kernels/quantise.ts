import source from "../../shaders/linear/quantise.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/** Numbers of an input that share a scale. */
export const BLOCK_NUMBERS = 32;

/** Bytes of a block: its numbers, two sums, a scale, and 4 that are not used. */
export const BLOCK_BYTES = 48;

/**
 * Each token's input, x or its RMS norm, in blocks of {@link BLOCK_NUMBERS} signed bytes with a scale, for products of
 * integers; block n of x is block n of y.
 *
 * x [tokens, cols] · vectors: the norm's weights · y [blocks] of {@link BLOCK_BYTES}. A token has `more_cols` numbers
 * more from `more_first` on, and with `has_raw` one from `raw_first` on that stays as it is. All of them are multiples of
 * {@link BLOCK_NUMBERS}.
 */
export const quantise = defineKernel({
  name: "quantise",
  source,
  params: {
    cols: "u32",
    more_first: "u32",
    more_cols: "u32",
    raw_first: "u32",
    has_raw: "u32",
    epsilon: "f32",
  },
  buffers: { x: "read", vectors: "read", y: "read_write" },
  weights: false,
  control: "read",
  constants: { LANES: 64, ROWS: 1 },
  grid: (_params, _constants, tokens) => [tokens, 1, 1],
  work: ({ cols, more_cols, has_raw }, _constants, { tokens }) => {
    const numbers = tokens * (cols + more_cols);
    return {
      words: numbers + (numbers / BLOCK_NUMBERS) * (BLOCK_BYTES / 4) + 2 * tokens * has_raw,
      multiplyAdds: numbers,
    };
  },
});
