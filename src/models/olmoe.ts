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
import type { Architecture } from "./model.ts";

/**
 * OLMoE: norms of queries and keys over all heads at once; softmax router whose weights are not renormalised.
 * Source: llama.cpp `src/models/olmoe.cpp`.
 */
export const olmoe: Architecture = {
  read(file) {
    const config = readDecoder(file, "olmoe", "half-split");
    const attention = attentionLayers(config, (layer) => queryKeyNorm(config, layer, "all-heads"));
    const moe = moeLayers(file, config, {
      ffn: file.metadata.number("olmoe.feed_forward_length"),
      routerInput: "post-attention",
      score: "softmax",
      renormalise: false,
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
