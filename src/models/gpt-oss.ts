import type { AttentionSpec, MoeSpec } from "../ops/ops.ts";
import { attentionBlock, attentionLayers, decoderSpec, finish, moeLayers } from "./decoder.ts";
import { blockWeight, type DecoderConfig, readCount, readDecoder } from "./decoder-config.ts";
import type { Architecture, ModelFile } from "./model.ts";
import { windowRope } from "./rope-config.ts";

/** Of so many layers all but the last have a sliding window, unless the file says otherwise. */
const WINDOW_PATTERN = 2;

/** The norm before the experts, under the name that it has in files. */
const EXPERTS_NORM = "post_attention_norm";

/**
 * gpt-oss: sinks and alternating windows in attention, biases everywhere, a clamped gated unit, and a router whose
 * weights are a softmax of the chosen logits. Source: llama.cpp `src/models/openai-moe.cpp`.
 */
export const gptOss: Architecture = {
  read(file) {
    const config = readDecoder(file, "gpt-oss", "half-split");
    const attention = readAttention(file, config);
    const moe = moeLayers(file, config, {
      ffn: readCount(file.metadata, "gpt-oss.expert_feed_forward_length"),
      routerInput: "post-attention",
      score: "softmax-after-top-k",
      renormalise: false,
      activation: "swiglu-oai",
    }).map((spec) => ({ ...spec, ...expertBiases(spec.layer) }));
    const layers = { attention, moe, ffnNorm: EXPERTS_NORM };
    return decoderSpec(config, layers, (ops) => {
      let x = ops.embed("token_embd.weight"); // [tokens, hidden]
      for (const [layer, spec] of attention.entries()) {
        x = attentionBlock(ops, x, spec, config.epsilon);
        const normed = ops.rmsNorm(x, blockWeight(layer, EXPERTS_NORM), config.epsilon);
        const choice = ops.route(normed, moe[layer]!);
        x = ops.experts(normed, choice, moe[layer]!, { residual: x });
      }
      finish(ops, x, config);
    });
  },
};

function readAttention(file: ModelFile, config: DecoderConfig): readonly AttentionSpec[] {
  const { metadata } = file;
  const window = readCount(metadata, "gpt-oss.attention.sliding_window");
  const key = "gpt-oss.attention.sliding_window_pattern";
  const pattern = metadata.optionalNumber(key) ?? WINDOW_PATTERN;
  const rope = windowRope(file, config.architecture, config.rope);
  return attentionLayers(config, (layer) => ({
    sinks: blockWeight(layer, "attn_sinks"),
    ...((pattern === 0 || layer % pattern < pattern - 1) && { window, rope }),
  }));
}

/** The biases of a layer's router and experts. */
function expertBiases(layer: number) {
  const bias = (part: string) => `blk.${layer}.${part}.bias`;
  return {
    routerBias: bias("ffn_gate_inp"),
    gateBias: bias("ffn_gate_exps"),
    upBias: bias("ffn_up_exps"),
    downBias: bias("ffn_down_exps"),
  } satisfies Partial<MoeSpec>;
}
