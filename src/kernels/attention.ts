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
  work: (
    { heads, kv_heads, key_dim, value_dim, values_first, window },
    _constants,
    { tokens, position },
  ) => {
    const rows = Math.min(position + tokens, window + tokens - 1);
    // Values that are a part of the keys are not read twice.
    const rowNumbers = kv_heads * (key_dim + (values_first === 0 ? 0 : value_dim));
    return {
      words: tokens * heads * (key_dim + value_dim),
      multiplyAdds: heads * keysSeen(tokens, position, window) * (key_dim + value_dim),
      cached: rows * rowNumbers,
    };
  },
});

/** Keys that the queries of a pass see, all together. */
function keysSeen(tokens: number, position: number, window: number): number {
  let keys = 0;
  for (let token = 1; token <= tokens; token++) keys += Math.min(position + token, window);
  return keys;
}
