import source from "../../shaders/attention/self_attention.wgsl?raw";
import append from "../../shaders/rope/append.wgsl?raw";
import heads from "../../shaders/rope/heads.wgsl?raw";
import rotation from "../../shaders/rope/rotation.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";
import { attendSources, attentionParams, attentionWork } from "./attention.ts";

/**
 * What `rotate_append` and `attention` do one after the other, at once, for a pass of one token. All queries of a KV head
 * are in one workgroup: `tile_rows * GROUPS` are at least `heads / kv_heads`.
 *
 * qkv [heads * head_dim + kv_heads * (head_dim + value_dim)], `k_first` and `v_first` say where keys and values start ·
 * norms, table: `shaders/rope/heads.wgsl` · sinks [heads] · out as `attention` has it · cache: words of the format whose
 * parts are linked. `key_quads` is at most `value_quads`: queries wait where their results go.
 */
export const selfAttention = defineKernel({
  name: "self_attention",
  source: [source, ...attendSources, heads, rotation, append].join("\n"),
  params: {
    ...attentionParams,
    k_first: "u32",
    v_first: "u32",
    head_dim: "u32",
    value_dim: "u32",
    rope_dims: "u32",
    rope_first: "u32",
    pairing: "u32",
    norm_mode: "u32",
    norm_values: "u32",
    epsilon: "f32",
  },
  buffers: {
    qkv: "read",
    norms: "read",
    table: "read",
    sinks: "read",
    cache: "read_write",
    out: "read_write",
  },
  weights: false,
  control: "read",
  constants: { LANES: 8, GROUPS: 1 },
  grid: ({ kv_heads, splits }) => [kv_heads, 1, Math.max(1, splits)],
  work: (params, constants, pass) => {
    const { heads, kv_heads, head_dim, value_dim, rope_dims } = params;
    const attended = attentionWork(params, constants, pass);
    // The token's own keys and values are written, and not read besides.
    return {
      words: attended.words + kv_heads * (head_dim + value_dim) + rope_dims,
      multiplyAdds: attended.multiplyAdds + (heads + kv_heads) * 2 * rope_dims,
      cached: attended.cached,
    };
  },
});
