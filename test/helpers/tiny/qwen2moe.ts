import { g } from "../gguf-writer.ts";
import { attentionBiases } from "./biases.ts";
import type { TinyArchitecture } from "./settings.ts";

/** Biases of queries, keys and values, and a shared expert of a width of its own. */
export const qwen2moe: TinyArchitecture = {
  keys: ({ ffn }) => ({ expert_shared_feed_forward_length: g.u32(2 * ffn) }),
  optional: (model) => attentionBiases(model, ["attn_q", "attn_k", "attn_v"]),
};
