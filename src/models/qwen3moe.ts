import {
  attentionBlock,
  attentionLayers,
  decoderSpec,
  finish,
  moeBlock,
  moeLayers,
  queryKeyNorm,
} from "./decoder.ts";
import { readDecoder } from "./decoder-config.ts";
import type { Architecture, ModelFile } from "./model.ts";

/**
 * Qwen3 MoE: norms of queries and keys over each head; softmax router, renormalised.
 * Source: llama.cpp `src/models/qwen3moe.cpp`.
 */
export const qwen3moe: Architecture = {
  read(file) {
    const config = readDecoder(file, "qwen3moe", "half-split");
    const attention = attentionLayers(config, (layer) => queryKeyNorm(config, layer, "head"));
    const moe = moeLayers(file, config, {
      ffn: expertWidth(file),
      routerInput: "post-attention",
      score: "softmax",
      renormalise: true,
      activation: "silu",
    });
    return decoderSpec(config, { attention, moe }, (ops) => {
      let x = ops.embed("token_embd.weight"); // [tokens, hidden]
      for (const [layer, spec] of attention.entries()) {
        x = attentionBlock(ops, x, spec, config.epsilon);
        x = moeBlock(ops, x, moe[layer]!, config.epsilon);
      }
      finish(ops, x, config);
    });
  },
};

/** Files without the expert's width give the width of a token's experts together. */
function expertWidth({ metadata }: ModelFile): number {
  return (
    metadata.optionalNumber("qwen3moe.expert_feed_forward_length") ??
    metadata.number("qwen3moe.feed_forward_length") / metadata.number("qwen3moe.expert_used_count")
  );
}
