import place from "../../shaders/cache/place.wgsl?raw";
import source from "../../shaders/rope/latent_append.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * Queries, and the cached row of keys and values, of one layer of multi-head latent attention.
 *
 * q [tokens, heads, q_width] · absorbed [tokens, heads, rank] · kv [tokens, rank + rope_dims] from number `kv_first` on ·
 * norm [rank] · table [context, rope_dims / 2] (cos, sin) · q_out [tokens, heads, rank + rope_dims], all f32 · cache: words of the
 * format whose part is linked. The last `rope_dims` of a head of q are rotated.
 */
export const latentAppend = defineKernel({
  name: "latent_append",
  source: `${source}\n${place}`,
  params: {
    heads: "u32",
    q_width: "u32",
    kv_first: "u32",
    rank: "u32",
    rope_dims: "u32",
    rows: "u32",
    row_quads: "u32",
    scales: "u32",
    pairing: "u32",
    epsilon: "f32",
  },
  buffers: {
    q: "read",
    absorbed: "read",
    kv: "read",
    norm: "read",
    table: "read",
    q_out: "read_write",
    cache: "read_write",
  },
  weights: false,
  control: "read",
  constants: { LANES: 32, ROWS: 1 },
  grid: ({ heads }, _constants, tokens) => [heads + 1, tokens, 1],
  work: ({ heads, rank, rope_dims }, _constants, { tokens }) => ({
    words: tokens * ((2 * heads + 1) * (rank + rope_dims) + rope_dims) + rank,
    multiplyAdds: tokens * ((heads + 1) * 2 * rope_dims + 2 * rank),
    cached: tokens * (rank + rope_dims),
  }),
});
