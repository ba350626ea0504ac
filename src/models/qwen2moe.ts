import { attentionLayers, moeLayers, plainDecoder } from "./decoder.ts";
import { readCount, readDecoder } from "./decoder-config.ts";
import type { Architecture, ModelFile } from "./model.ts";

/**
 * Qwen 2 MoE and Qwen 1.5 MoE: biases of queries, keys and values, which the file's tensors tell; softmax router whose
 * weights are not renormalised, and a shared expert behind a sigmoid gate. Source: llama.cpp `src/models/qwen2moe.cpp`.
 */
export const qwen2moe: Architecture = {
  read(file) {
    const config = readDecoder(file, "qwen2moe", "half-split", { keys: ["expert_shared_count"] });
    const moe = moeLayers(file, config, {
      ffn: expertWidth(file),
      routerInput: "post-attention",
      score: "softmax",
      renormalise: false,
      activation: "silu",
    });
    const width = sharedWidth(file);
    return plainDecoder(config, {
      attention: attentionLayers(config),
      moe,
      shared: new Map(moe.map(({ layer }) => [layer, width])),
      isSharedGated: true,
    });
  },
};

/** Files without the expert's width give the width of a token's experts together. */
function expertWidth({ metadata }: ModelFile): number {
  return (
    metadata.optionalNumber("qwen2moe.expert_feed_forward_length") ??
    metadata.number("qwen2moe.feed_forward_length") / metadata.number("qwen2moe.expert_used_count")
  );
}

function sharedWidth({ metadata }: ModelFile): number {
  const key = "qwen2moe.expert_shared_feed_forward_length";
  return metadata.optionalNumber(key) || readCount(metadata, "qwen2moe.feed_forward_length");
}
