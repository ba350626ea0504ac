import place from "../../shaders/cache/place.wgsl?raw";
import latent from "../../shaders/rope/latent.wgsl?raw";
import source from "../../shaders/rope/latent_append.wgsl?raw";
import squares from "../../shaders/rope/norms/squares.wgsl?raw";
import rotation from "../../shaders/rope/rotation.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";
import { HEAD_OUTPUTS, headParams, headWork } from "./head_linear.ts";

/** What latent attention attends with and to: `shaders/rope/latent.wgsl`. */
export const latentSources = [latent, rotation, squares, place] as const;

/** Its params. */
export const latentParams = {
  kv_first: "u32",
  rank: "u32",
  rope_dims: "u32",
  cache_rows: "u32",
  row_quads: "u32",
  scales: "u32",
  pairing: "u32",
  epsilon: "f32",
} as const;

/**
 * Queries, and the cached row of keys and values, of one layer of multi-head latent attention. A query is its product with
 * the head's matrix of keys, `rank` numbers, and then its last `rope_dims`, rotated.
 *
 * x: queries [tokens, heads, x_width], and weight as in `head_linear` · kv [tokens, rank + rope_dims] from number
 * `kv_first` on · norm [rank] · table [context, rope_dims / 2] (cos, sin) · q_out [tokens, heads, rank + rope_dims], all
 * f32 · cache: words of the format whose part is linked.
 */
export const latentAppend = defineKernel({
  name: "latent_append",
  source: [source, ...latentSources].join("\n"),
  params: { ...headParams, ...latentParams },
  buffers: {
    x: "read",
    kv: "read",
    norm: "read",
    table: "read",
    q_out: "read_write",
    cache: "read_write",
  },
  weights: true,
  control: "read",
  constants: { LANES: 1, ROWS: 64, TOKENS: 1, OUTPUTS: HEAD_OUTPUTS.rows },
  grid: ({ heads, rank }, { ROWS = 64, TOKENS = 1, OUTPUTS = 1 }, tokens) => [
    Math.ceil(rank / (OUTPUTS * ROWS)),
    heads + 1,
    Math.ceil(tokens / TOKENS),
  ],
  work: (params, _constants, { tokens }) => {
    const { heads, x_width, rank, rope_dims } = params;
    const { multiplyAdds, weights } = headWork(params, tokens);
    const width = rank + rope_dims;
    return {
      words: tokens * (heads * (x_width + width) + width + rope_dims) + rank,
      multiplyAdds: multiplyAdds + tokens * ((heads + 1) * 2 * rope_dims + 2 * rank),
      weights,
      cached: tokens * width,
    };
  },
});
