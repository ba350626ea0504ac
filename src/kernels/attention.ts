import source from "../../shaders/attention/attention.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * Causal grouped-query attention over the KV cache, of the format whose part is linked.
 *
 * q [tokens, heads, key_dim] · sinks [heads] · out [tokens, heads, value_dim], f32 · cache: keys [rows, key_stride],
 * then values [rows, value_stride]. `key_dim` and `value_dim` are multiples of 4, `value_dim` at most `8 * LANES`.
 */
export const attention = defineKernel({
  name: "attention",
  source,
  params: {
    heads: "u32",
    kv_heads: "u32",
    key_dim: "u32",
    value_dim: "u32",
    value_step: "u32",
    key_stride: "u32",
    value_stride: "u32",
    values_first: "u32",
    scales_first: "u32",
    rows: "u32",
    window: "u32",
    has_sinks: "u32",
    scale: "f32",
    softcap: "f32",
  },
  buffers: { q: "read", sinks: "read", out: "read_write" },
  weights: true,
  control: "read",
  constants: { LANES: 32 },
  grid: ({ heads }, _constants, tokens) => [heads, tokens, 1],
});
