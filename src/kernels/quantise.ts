import source from "../../shaders/linear/quantise.wgsl?raw";
import { BLOCK_NUMBERS, type InputFormat } from "../formats/input/format.ts";
import { defineKernel } from "../gpu/kernel.ts";

/** Bytes of a quad of words. */
const QUAD_BYTES = 16;

/** The constants by which blocks in a format are written. */
export function storeConstants({ blockBytes }: InputFormat): { readonly STORED_QUADS: number } {
  return { STORED_QUADS: blockBytes / QUAD_BYTES };
}

/**
 * Each token's input, x or its RMS norm, in blocks of {@link BLOCK_NUMBERS} numbers with a scale, for products that read
 * it so; block n of x is block n of y. The format's `write` and {@link storeConstants} say what a block is.
 *
 * x [tokens, cols] · vectors: the norm's weights · y [blocks] of `blockBytes`. A token has `more_cols` numbers more from
 * `more_first` on, and with `has_raw` one from `raw_first` on that stays as it is. All of them are multiples of
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
  constants: { LANES: 64, ROWS: 1, STORED_QUADS: 3 },
  grid: (_params, _constants, tokens) => [tokens, 1, 1],
  work: ({ cols, more_cols, has_raw }, { STORED_QUADS = 3 }, { tokens }) => {
    const numbers = tokens * (cols + more_cols);
    return {
      words: numbers + (numbers / BLOCK_NUMBERS) * 4 * STORED_QUADS + 2 * tokens * has_raw,
      multiplyAdds: numbers,
    };
  },
});
