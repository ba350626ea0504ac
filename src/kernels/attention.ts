import source from "../../shaders/attention/attention.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * Causal grouped-query attention over the KV cache.
 *
 * q, out [tokens, heads, head_dim] · cache [2, context, kv_heads, head_dim] f32. `head_dim` is a multiple of 4 and at
 * most `8 * LANES`.
 */
export const attention = defineKernel({
  name: "attention",
  source,
  params: {
    heads: "u32",
    kv_heads: "u32",
    head_dim: "u32",
    context: "u32",
    window: "u32",
    scale: "f32",
  },
  buffers: { q: "read", cache: "read", out: "read_write" },
  weights: false,
  control: "read",
  constants: { LANES: 32 },
  grid: ({ heads }, _constants, tokens) => [heads, tokens, 1],
});
