import type { AttentionSpec } from "../ops/ops.ts";
import { attentionBlock, attentionLayers, decoderSpec, finish, moeLayers } from "./decoder.ts";
import { blockWeight, type DecoderConfig, readDecoder } from "./decoder-config.ts";
import type { Architecture, ModelFile } from "./model.ts";
import { readScore } from "./moe-config.ts";
import { windowRope } from "./rope-config.ts";

/** Every fourth layer of a model with sliding windows has no positions. */
const UNROTATED_LAYER_STEP = 4;

/** Unless the file says otherwise, these are the layers that see everything. */
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
      ? attentionLayers(config).map((spec) => localOrGlobal(file, spec, config))
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
function localOrGlobal(
  file: ModelFile,
  spec: AttentionSpec,
  { architecture, layers, rope }: DecoderConfig,
): AttentionSpec {
  const pattern = "smallthinker.attention.sliding_window_pattern";
  const step = file.metadata.optionalNumber(pattern) ?? GLOBAL_LAYER_STEP;
  const isLocal = step === 0 || spec.layer % step !== 0;
  // llama.cpp, which files are made for, rotates every layer of a model of just four.
  const isRotated = layers === UNROTATED_LAYER_STEP || spec.layer % UNROTATED_LAYER_STEP !== 0;
  const { rope: _, ...unrotated } = spec;
  return {
    ...unrotated,
    ...(isRotated && { rope: isLocal ? windowRope(file, architecture, rope) : rope }),
    ...(isLocal && { window: WINDOW_TOKENS }),
  };
}
