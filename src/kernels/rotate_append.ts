import source from "../../shaders/rope/rotate_append.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * Norm, rotary embedding and KV-cache append of one layer's q, k and v.
 *
 * q, q_out [tokens, heads, head_dim] · k, v [tokens, kv_heads, head_dim] · cache [2, context, kv_heads, head_dim] ·
 * table [context, rope_dims / 2] (cos, sin), all f32. Shapes and modes: `shaders/rope/rotate_append.wgsl`.
 */
export const rotateAppend = defineKernel({
  name: "rotate_append",
  source,
  params: {
    heads: "u32",
    kv_heads: "u32",
    head_dim: "u32",
    context: "u32",
    rope_dims: "u32",
    rope_first: "u32",
    pairing: "u32",
    norm_mode: "u32",
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
  constants: { LANES: 32, ROWS: 1 },
  grid: ({ heads, kv_heads }, _constants, tokens) => [heads + 2 * kv_heads, tokens, 1],
});
