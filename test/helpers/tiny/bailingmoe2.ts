import { g } from "../gguf-writer.ts";
import type { TinyArchitecture } from "./settings.ts";

/** Groups of two experts of which half are kept, fused queries, keys and values, and half of each head rotated. */
export const bailingmoe2: TinyArchitecture = {
  keys: ({ experts, denseLead, ffn, score, headDim, layers, predicts }) => ({
    ...(predicts && { block_count: g.u32(layers + 1), nextn_predict_layers: g.u32(1) }),
    expert_gating_func: g.u32(score === "softmax" ? 1 : 2),
    expert_group_count: g.u32(experts / 2),
    expert_group_used_count: g.u32(experts / 4),
    expert_shared_count: g.u32(1),
    expert_shared_feed_forward_length: g.u32(2 * ffn),
    expert_weights_norm: g.bool(true),
    expert_weights_scale: g.f32(2.5),
    leading_dense_block_count: g.u32(denseLead),
    "rope.dimension_count": g.u32(headDim / 2),
  }),
  optional: ({ layers, hidden, heads, kvHeads, headDim, experts, selectionBias, predicts }) =>
    Object.fromEntries([
      ...Array.from({ length: layers + (predicts ? 1 : 0) }, (_, layer) => [
        [`blk.${layer}.attn_qkv.weight`, [(heads + 2 * kvHeads) * headDim, hidden]],
        ...(selectionBias ? [[`blk.${layer}.exp_probs_b.bias`, [experts]]] : []),
      ]).flat(),
      ...(predicts
        ? [
            [`blk.${layers}.nextn.eh_proj.weight`, [hidden, 2 * hidden]],
            [`blk.${layers}.layer_output_norm.weight`, [hidden]],
          ]
        : []),
    ]),
};
