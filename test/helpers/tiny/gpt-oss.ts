import { normalArray } from "../../../src/numeric/random.ts";
import { g } from "../gguf-writer.ts";
import { attentionBiases } from "./biases.ts";
import type { TinyArchitecture } from "./settings.ts";

/** Windows of few tokens in every second layer, biases everywhere, and YaRN as the released files have it. */
export const gptOss: TinyArchitecture = {
  keys: ({ window }) => ({
    "attention.sliding_window": g.u32(window),
    "rope.scaling.type": g.string("yarn"),
    "rope.scaling.factor": g.f32(32),
    "rope.scaling.original_context_length": g.u32(64),
  }),
  optional: (model) => attentionBiases(model, ["attn_q", "attn_k", "attn_v", "attn_output"]),
  values: (part, [heads], random) =>
    part === "attn_sinks" ? normalArray(random, heads!, 2) : undefined,
};
