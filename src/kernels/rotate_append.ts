import place from "../../shaders/cache/place.wgsl?raw";
import append from "../../shaders/rope/append.wgsl?raw";
import heads from "../../shaders/rope/heads.wgsl?raw";
import source from "../../shaders/rope/rotate_append.wgsl?raw";
import rotation from "../../shaders/rope/rotation.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * Norm, rotary embedding and KV-cache append of one layer's q, k and v.
 *
 * q, q_out [tokens, heads, head_dim] · k [tokens, kv_heads, head_dim] · v [tokens, value_heads, value_dim] · table
 * [context, rope_dims / 2] (cos, sin), f32 · cache: words of the format whose part is linked (`src/ops/kv-layout.ts`).
 * Rows of inputs, shapes and modes: `shaders/rope/rotate_append.wgsl`.
 */
export const rotateAppend = defineKernel({
  name: "rotate_append",
  source: [source, heads, rotation, append, place].join("\n"),
  params: {
    heads: "u32",
    kv_heads: "u32",
    value_heads: "u32",
    head_dim: "u32",
    value_dim: "u32",
    q_row: "u32",
    k_row: "u32",
    v_row: "u32",
    k_first: "u32",
    v_first: "u32",
    rows: "u32",
    key_head_quads: "u32",
    key_row_quads: "u32",
    value_head_quads: "u32",
    value_row_quads: "u32",
    values_first: "u32",
    key_scales: "u32",
    value_scales: "u32",
    rope_dims: "u32",
    rope_first: "u32",
    pairing: "u32",
    norm_mode: "u32",
    norm_values: "u32",
    epsilon: "f32",
  },
  buffers: {
    q: "read",
    k: "read",
    v: "read",
    norms: "read",
    table: "read",
    q_out: "read_write",
    cache: "read_write",
  },
  weights: false,
  control: "read",
  constants: { LANES: 32 },
  grid: ({ heads, kv_heads, value_heads }, _constants, tokens) => [
    heads + kv_heads + value_heads,
    tokens,
    1,
  ],
  work: (
    { heads, kv_heads, value_heads, head_dim, value_dim, rope_dims },
    _constants,
    { tokens },
  ) => ({
    words: tokens * ((2 * heads + kv_heads) * head_dim + value_heads * value_dim + rope_dims),
    multiplyAdds: tokens * (heads + kv_heads) * 2 * rope_dims,
    cached: tokens * (kv_heads * head_dim + value_heads * value_dim),
  }),
});
