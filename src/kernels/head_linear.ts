import source from "../../shaders/linear/head_linear.wgsl?raw";
import { defineKernel, type ParamValues } from "../gpu/kernel.ts";

/** Which part of a head's matrix and of its input is multiplied: see `shaders/linear/heads`. */
export const headParams = {
  heads: "u32",
  head_rows: "u32",
  first_row: "u32",
  rows: "u32",
  head_cols: "u32",
  x_width: "u32",
} as const;

/** Products that an invocation gives, by rows and by columns of a head's matrix: `OUTPUTS`. */
export const HEAD_OUTPUTS = { rows: 1, columns: 8 } as const;

/** What the products of all heads read and compute, for `tokens` tokens. */
export function headWork(
  { heads, rows, head_cols }: ParamValues<typeof headParams>,
  tokens: number,
) {
  return {
    multiplyAdds: tokens * heads * rows * head_cols,
    weights: { load_weights: heads * rows * head_cols },
  };
}

/**
 * A product for each head: `y[head] = W[head] x[head]`, over some of the rows of each head's matrix, or, by columns, with
 * those rows transposed.
 *
 * weight [heads, head_rows, head_cols] in any format · x [tokens, heads, x_width], with room for a multiple of `TOKENS`
 * tokens · y [tokens, heads, rows], by columns [tokens, heads, head_cols], f32. `head_cols` is a multiple of 8, `x_width` of 4;
 * `TOKENS` is 1 or 4.
 */
export const headLinear = defineKernel({
  name: "head_linear",
  source,
  params: headParams,
  buffers: { x: "read", y: "read_write" },
  weights: true,
  control: "read",
  constants: { LANES: 1, ROWS: 64, TOKENS: 1, OUTPUTS: HEAD_OUTPUTS.rows },
  grid: ({ rows, head_cols, heads }, { ROWS = 64, TOKENS = 1, OUTPUTS = 1 }, tokens) => [
    Math.ceil((OUTPUTS > 1 ? head_cols : rows) / (OUTPUTS * ROWS)),
    heads,
    Math.ceil(tokens / TOKENS),
  ],
  work: (params, _constants, { tokens }) => ({
    ...headWork(params, tokens),
    words: tokens * params.heads * (params.rows + params.head_cols),
  }),
});
