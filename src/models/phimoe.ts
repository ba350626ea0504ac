import type { Activation, MoeSpec, Ops, Routing } from "../ops/ops.ts";
import {
  attentionLayers,
  type BesideLayers,
  decoderSpec,
  moeLayers,
  normedAttention,
} from "./decoder.ts";
import { type DecoderConfig, readCount, readDecoder } from "./decoder-config.ts";
import type { Architecture, ModelFile, ModelRules } from "./model.ts";
import { withRopeFactors } from "./rope-config.ts";

/**
 * Phi's MoE models (Phi-3.5-MoE, Phi-mini-MoE, Phi-tiny-MoE): biases of attention, norms and output, and LongRoPE in
 * those with a long context.
 *
 * As published: layer norms, and SparseMixer's choice, whose weights do not add up to 1. llama.cpp takes RMS norms, and
 * softmax routers that it renormalises, and leaves out the sliding window that some files have: `rules` decides. Of
 * LongRoPE's factors of attention a file has llama.cpp's alone.
 * Source: `modeling_phimoe.py` of Phi-3.5-MoE; llama.cpp `src/models/phimoe.cpp` and `src/models/phi3.cpp`.
 */
export const phimoe: Architecture = {
  read(file, rules) {
    const config = readDecoder(file, "phimoe", "half-split");
    const rope = withRopeFactors(file, "phimoe", config.rope);
    const window = readWindow(file, config, rules);
    const attention = attentionLayers(config, () => ({ rope, ...window }));
    const moe = moeLayers(file, config, {
      ffn: expertWidth(file),
      routerInput: "post-attention",
      ...ROUTERS[rules],
      activation: "silu",
    });
    const norms = { epsilon: config.epsilon, centred: rules === "published" };
    const forward = <Tensor extends Activation, Choice extends Routing>(
      ops: Ops<Tensor, Choice>,
    ) => {
      const norm = (x: Tensor, name: string) =>
        ops.layerNorm(x, `${name}.weight`, `${name}.bias`, norms);
      let x = ops.embed("token_embd.weight"); // [tokens, hidden]
      for (const [layer, spec] of attention.entries()) {
        x = normedAttention(ops, norm(x, `blk.${layer}.attn_norm`), spec, x);
        const normed = norm(x, `blk.${layer}.ffn_norm`);
        x = ops.experts(normed, ops.route(normed, moe[layer]!), moe[layer]!, { residual: x });
      }
      const last = norm(ops.lastToken(x), "output_norm"); // [1, hidden]
      ops.logits(ops.linear(last, config.head, { bias: "output.bias" })); // [1, vocab]
    };
    return decoderSpec(config, { attention, moe }, forward, biasesBeside(config));
  },
};

const ROUTERS: Readonly<Record<ModelRules, Pick<MoeSpec, "score" | "renormalise">>> = {
  published: { score: "sparsemixer", renormalise: false },
  "llama.cpp": { score: "softmax", renormalise: true },
};

/** The window of a file whose context is longer. */
function readWindow({ metadata }: ModelFile, config: DecoderConfig, rules: ModelRules) {
  const window = metadata.optionalNumber("phimoe.attention.sliding_window") ?? 0;
  const isKept = rules === "published" && window > 0 && window < config.contextTokens;
  return isKept ? { window } : {};
}

function expertWidth({ metadata }: ModelFile): number {
  return (
    metadata.optionalNumber("phimoe.expert_feed_forward_length") ??
    readCount(metadata, "phimoe.feed_forward_length")
  );
}

/** The biases that other decoders do not have. */
function biasesBeside({ hidden, vocab, layers }: DecoderConfig): BesideLayers {
  const ofBlocks = Array.from({ length: layers }, (_, layer) => [
    { name: `blk.${layer}.attn_norm.bias`, shape: [hidden] },
    { name: `blk.${layer}.ffn_norm.bias`, shape: [hidden] },
  ]);
  return {
    attention: [],
    resident: [
      ...ofBlocks.flat(),
      { name: "output_norm.bias", shape: [hidden] },
      { name: "output.bias", shape: [vocab] },
    ],
  };
}
