import { attentionLayers, moeLayers, plainDecoder } from "./decoder.ts";
import { readCount, readDecoder } from "./decoder-config.ts";
import type { Architecture } from "./model.ts";
import { readDenseLead, selectionBias, withDenseOthers } from "./moe-config.ts";

/**
 * ERNIE 4.5 MoE: dense layers first, then experts in every `interleave_moe_layer_step`-th layer, with shared ones beside
 * them; softmax router, renormalised, whose choice is biased where the file has a tensor for it.
 * Source: llama.cpp `src/models/ernie4-5-moe.cpp`.
 */
export const ernie45Moe: Architecture = {
  read(file) {
    const keys = ["expert_shared_count", "leading_dense_block_count"];
    const config = readDecoder(file, "ernie4_5-moe", "interleaved", { keys });
    const { metadata } = file;
    const lead = readDenseLead(file, config);
    const step = readCount(metadata, "ernie4_5-moe.interleave_moe_layer_step");
    const attention = attentionLayers(config);
    const layers = attention
      .map(({ layer }) => layer)
      .filter((layer) => layer >= lead && (layer + 1) % step === 0);
    const rule = {
      ffn: readCount(metadata, "ernie4_5-moe.expert_feed_forward_length"),
      routerInput: "post-attention",
      score: "softmax",
      renormalise: true,
      activation: "silu",
    } as const;
    const moe = moeLayers(file, config, rule, layers).map((spec) => ({
      ...spec,
      ...selectionBias(file, spec.layer),
    }));
    const shared = metadata.optionalNumber("ernie4_5-moe.expert_shared_feed_forward_length") ?? 0;
    return plainDecoder(config, withDenseOthers(file, config, { attention, moe, shared }));
  },
};
