import { attentionLayers, moeLayers, plainDecoder } from "./decoder.ts";
import { readDecoder } from "./decoder-config.ts";
import type { Architecture } from "./model.ts";
import { withRopeFactors } from "./rope-config.ts";

/**
 * Llama, dense, and Mixtral, which is a Llama with experts: softmax router, renormalised.
 * Source: llama.cpp `src/models/llama.cpp`.
 */
export const llama: Architecture = {
  read(file) {
    const config = readDecoder(file, "llama", "interleaved");
    const rope = withRopeFactors(file, "llama", config.rope);
    const attention = attentionLayers(config, () => ({ rope }));
    const ffn = file.metadata.number("llama.feed_forward_length");
    const isDense = (file.metadata.optionalNumber("llama.expert_count") ?? 0) === 0;
    const moe = isDense
      ? []
      : moeLayers(file, config, {
          ffn,
          routerInput: "post-attention",
          score: "softmax",
          renormalise: true,
          activation: "silu",
        });
    const dense = new Map(isDense ? attention.map(({ layer }) => [layer, ffn]) : []);
    return plainDecoder(config, { attention, moe, dense });
  },
};
