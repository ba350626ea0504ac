import { attentionLayers, plainDecoder } from "./decoder.ts";
import { readCount, readDecoder } from "./decoder-config.ts";
import type { Architecture } from "./model.ts";

/**
 * Qwen2 and Qwen2.5, dense: biases of queries, keys and values, which the file's tensors tell.
 * Source: llama.cpp `src/models/qwen2.cpp`.
 */
export const qwen2: Architecture = {
  read(file) {
    const config = readDecoder(file, "qwen2", "half-split");
    const ffn = readCount(file.metadata, "qwen2.feed_forward_length");
    const attention = attentionLayers(config);
    return plainDecoder(config, {
      attention,
      moe: [],
      dense: new Map(attention.map(({ layer }) => [layer, ffn])),
    });
  },
};
