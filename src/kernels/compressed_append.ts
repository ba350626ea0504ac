import source from "../../shaders/rope/compressed_append.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";
import { HEAD_OUTPUTS, headParams, headWork } from "./head_linear.ts";
import { latentParams, latentSources } from "./latent_append.ts";

/** Numbers of a head's query that a workgroup has room for: `MOST_QUERY_QUADS`. */
export const MOST_QUERY_WIDTH = 512;

/**
 * What a product with a norm and `latent_append` do one after the other, at once, for a pass of one token: queries are
 * expanded before heads absorb them. `tiles` workgroups share a head, each of which expands its query.
 *
 * x: compressed queries [cols] and, from `kv_first` on, kv [rank + rope_dims] · vectors: the norms of both, [cols] and
 * [rank] · weights: that of keys as in `head_linear`, then that of queries [heads * x_width, cols] · table, q_out and
 * cache as `latent_append` has them. `x_width` is a multiple of 4.
 */
export const compressedAppend = defineKernel({
  name: "compressed_append",
  source: [source, ...latentSources].join("\n"),
  params: { ...headParams, cols: "u32", tiles: "u32", ...latentParams },
  buffers: {
    x: "read",
    vectors: "read",
    table: "read",
    q_out: "read_write",
    cache: "read_write",
  },
  weights: 2,
  control: "read",
  constants: { LANES: 1, ROWS: 64, FOURS: 1, OUTPUTS: HEAD_OUTPUTS.rows },
  grid: ({ heads, tiles }) => [tiles, heads + 1, 1],
  work: (params) => {
    const { heads, x_width, cols, rank, rope_dims } = params;
    const { multiplyAdds, weights } = headWork(params, 1);
    const width = rank + rope_dims;
    const expanding = heads * x_width * cols;
    return {
      words: cols + heads * width + width + rope_dims + cols + rank,
      multiplyAdds: multiplyAdds + expanding + (heads + 1) * 2 * rope_dims + 2 * rank,
      weights: { ...weights, load_queries: expanding },
      cached: width,
    };
  },
});
