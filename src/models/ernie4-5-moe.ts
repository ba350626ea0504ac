import {
  attentionBlock,
  attentionLayers,
  decoderSpec,
  denseBlock,
  finish,
  moeBlock,
  moeLayers,
} from "./decoder.ts";
import { readCount, readDecoder } from "./decoder-config.ts";
import type { Architecture } from "./model.ts";
import { readDenseLead, selectionBias } from "./moe-config.ts";

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
    const layers = attention.map(({ layer }) => layer);
    const moe = moeLayers(
      file,
      config,
      {
        ffn: readCount(metadata, "ernie4_5-moe.expert_feed_forward_length"),
        routerInput: "post-attention",
        score: "softmax",
        renormalise: true,
        activation: "silu",
      },
      layers.filter((layer) => layer >= lead && (layer + 1) % step === 0),
    ).map((spec) => ({ ...spec, ...selectionBias(file, spec.layer) }));
    const experts = new Map(moe.map((spec) => [spec.layer, spec]));
    const ffn = metadata.number("ernie4_5-moe.feed_forward_length");
    const sharedWidth =
      metadata.optionalNumber("ernie4_5-moe.expert_shared_feed_forward_length") ?? 0;
    const dense = new Map(
      layers.filter((layer) => !experts.has(layer)).map((layer) => [layer, ffn]),
    );
    const shared = new Map(sharedWidth > 0 ? moe.map(({ layer }) => [layer, sharedWidth]) : []);
    return decoderSpec(config, { attention, moe, dense, shared }, (ops) => {
      let x = ops.embed("token_embd.weight"); // [tokens, hidden]
      for (const [layer, spec] of attention.entries()) {
        x = attentionBlock(ops, x, spec, config.epsilon);
        const own = experts.get(layer);
        x = own
          ? moeBlock(ops, x, own, config.epsilon, shared.has(layer) ? "plain" : "none")
          : denseBlock(ops, x, layer, config.epsilon);
      }
      finish(ops, x, config);
    });
  },
};
