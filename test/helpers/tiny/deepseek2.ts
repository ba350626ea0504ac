import { g } from "../gguf-writer.ts";
import type { TinyArchitecture } from "./settings.ts";

/**
 * DeepSeek-V2-Lite's form unless told otherwise: a dense layer first, two shared experts, softmax. Head sizes are of
 * queries: a third of them is rotated.
 */
export const deepseek2: TinyArchitecture = {
  defaults: () => ({ score: "softmax", headDim: 48, layers: 3 }),
  keys: (model) => {
    const { rank, queryRank, valueDim, isSplit } = model.latent;
    const ropeDims = model.headDim / 3;
    const [keyLength, valueLength] = [g.u32(model.headDim), g.u32(valueDim)];
    return {
      "attention.head_count_kv": g.u32(isSplit ? 1 : model.heads),
      "attention.key_length": isSplit ? g.u32(rank + ropeDims) : keyLength,
      "attention.value_length": isSplit ? g.u32(rank) : valueLength,
      ...(isSplit && {
        "attention.key_length_mla": keyLength,
        "attention.value_length_mla": valueLength,
      }),
      "attention.kv_lora_rank": g.u32(rank),
      // llama.cpp wants the key in all models but those of 26 or 27 layers.
      "attention.q_lora_rank": g.u32(queryRank),
      "rope.dimension_count": g.u32(ropeDims),
      leading_dense_block_count: g.u32(1),
      expert_shared_count: g.u32(2),
      expert_gating_func: g.u32(model.score === "softmax" ? 1 : 2),
      expert_weights_scale: g.f32(1.5),
      expert_weights_norm: g.bool(model.score === "sigmoid"),
    };
  },
  // Those with a sigmoid have a bias of the choice, too.
  optional: (model) => {
    const layers = Array.from({ length: model.layers }, (_, layer) => layer);
    const biases = layers.map(
      (layer) => [`blk.${layer}.exp_probs_b.bias`, [model.experts]] as const,
    );
    return model.score === "sigmoid" ? Object.fromEntries(biases) : {};
  },
};
