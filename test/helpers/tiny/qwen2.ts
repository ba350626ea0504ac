import { attentionBiases } from "./biases.ts";
import type { TinyArchitecture } from "./settings.ts";

/** Dense, with biases of queries, keys and values. */
export const qwen2: TinyArchitecture = {
  defaults: () => ({ experts: 0 }),
  optional: (model) => attentionBiases(model, ["attn_q", "attn_k", "attn_v"]),
};
