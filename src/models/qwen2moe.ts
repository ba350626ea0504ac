import {
  attentionBlock,
  attentionLayers,
  type BesideLayers,
  decoderSpec,
  finish,
  moeBlock,
  moeLayers,
} from "./decoder.ts";
import { blockWeight, readCount, readDecoder } from "./decoder-config.ts";
import type { Architecture, ModelFile } from "./model.ts";

/**
 * Qwen 2 MoE and Qwen 1.5 MoE: biases of queries, keys and values; softmax router whose weights are not renormalised,
 * and a shared expert behind a sigmoid gate. Source: llama.cpp `src/models/qwen2moe.cpp`.
 */
export const qwen2moe: Architecture = {
  read(file) {
    const config = readDecoder(file, "qwen2moe", "half-split", { keys: ["expert_shared_count"] });
    const attention = attentionLayers(config);
    const moe = moeLayers(file, config, {
      ffn: expertWidth(file),
      routerInput: "post-attention",
      score: "softmax",
      renormalise: false,
      activation: "silu",
    });
    const width = sharedWidth(file);
    const shared = new Map(moe.map(({ layer }) => [layer, width]));
    const gates: BesideLayers = {
      attention: [],
      resident: moe.map(({ layer }) => ({
        name: blockWeight(layer, "ffn_gate_inp_shexp"),
        shape: [1, config.hidden],
      })),
    };
    return decoderSpec(
      config,
      { attention, moe, shared },
      (ops) => {
        let x = ops.embed("token_embd.weight"); // [tokens, hidden]
        for (const [layer, spec] of attention.entries()) {
          x = attentionBlock(ops, x, spec, config.epsilon);
          x = moeBlock(ops, x, moe[layer]!, config.epsilon, "gated");
        }
        finish(ops, x, config);
      },
      gates,
    );
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
