import { attentionLayers, plainDecoder, queryKeyNorm } from "./decoder.ts";
import { readCount, readDecoder } from "./decoder-config.ts";
import type { Architecture } from "./model.ts";

/** Qwen3, dense: norms of queries and keys over each head. Source: llama.cpp `src/models/qwen3.cpp`. */
export const qwen3: Architecture = {
  read(file) {
    const config = readDecoder(file, "qwen3", "half-split");
    const ffn = readCount(file.metadata, "qwen3.feed_forward_length");
    const attention = attentionLayers(config, (layer) => queryKeyNorm(config, layer, "head"));
    return plainDecoder(config, {
      attention,
      moe: [],
      dense: new Map(attention.map(({ layer }) => [layer, ffn])),
    });
  },
};
