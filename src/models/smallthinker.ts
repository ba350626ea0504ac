import type { AttentionSpec } from "../ops/ops.ts";
import { attentionBlock, attentionLayers, decoderSpec, finish, moeLayers } from "./decoder.ts";
import { blockWeight, readDecoder } from "./decoder-config.ts";
import type { Architecture, ModelFile } from "./model.ts";
import { readScore } from "./moe-config.ts";

/** Every fourth layer of a model with sliding windows sees everything and has no positions. */
const GLOBAL_LAYER_STEP = 4;

/** The window of the others, whatever the file says: llama.cpp fixes it, and the released models agree. */
const WINDOW_TOKENS = 4096;

/**
 * SmallThinker: the router reads the residual before attention, raw, so experts are known one attention block early;
 * experts are ReGLU. Source: arXiv 2507.20984; llama.cpp `src/models/smallthinker.cpp`.
 */
export const smallthinker: Architecture = {
  read(file) {
    const config = readDecoder(file, "smallthinker", "half-split");
    const attention = hasWindows(file)
      ? attentionLayers(config).map((spec) => localOrGlobal(spec, config.layers))
      : attentionLayers(config);
    const moe = moeLayers(file, config, {
      ffn: expertWidth(file),
      routerInput: "pre-attention",
      // The checkpoints' default, and one converter leaves the key out just then.
      score: readScore(file, config, "sigmoid"),
      renormalise: true,
      activation: "relu",
    });
    return decoderSpec(config, { attention, moe }, (ops) => {
      let x = ops.embed("token_embd.weight"); // [tokens, hidden]
      for (const [layer, spec] of attention.entries()) {
        const experts = moe[layer]!;
        const choice = ops.route(x, experts);
        x = attentionBlock(ops, x, spec, config.epsilon);
        const normed = ops.rmsNorm(x, blockWeight(layer, "ffn_norm"), config.epsilon);
        x = ops.experts(normed, choice, experts, { residual: x });
      }
      finish(ops, x, config);
    });
  },
};

function expertWidth({ metadata }: ModelFile): number {
  return (
    metadata.optionalNumber("smallthinker.expert_feed_forward_length") ??
    metadata.number("smallthinker.feed_forward_length")
  );
}

function hasWindows({ metadata }: ModelFile): boolean {
  return (metadata.optionalNumber("smallthinker.attention.sliding_window") ?? 0) > 0;
}

/** A layer of a model with sliding windows. */
function localOrGlobal(spec: AttentionSpec, layers: number): AttentionSpec {
  if (spec.layer % GLOBAL_LAYER_STEP !== 0) return { ...spec, window: WINDOW_TOKENS };
  // llama.cpp, which files are made for, rotates every layer of a model of just four.
  if (layers === GLOBAL_LAYER_STEP) return spec;
  const { rope: _, ...unrotated } = spec;
  return unrotated;
}
