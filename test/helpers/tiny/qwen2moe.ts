import { g } from "../gguf-writer.ts";
import type { TinyArchitecture } from "./settings.ts";

/** Biases of queries, keys and values, and a shared expert of a width of its own. */
export const qwen2moe: TinyArchitecture = {
  keys: ({ ffn }) => ({ expert_shared_feed_forward_length: g.u32(2 * ffn) }),
  optional: ({ layers, heads, kvHeads, headDim }) =>
    Object.fromEntries(
      Array.from({ length: layers }, (_, layer) => [
        [`blk.${layer}.attn_q.bias`, [heads * headDim]],
        [`blk.${layer}.attn_k.bias`, [kvHeads * headDim]],
        [`blk.${layer}.attn_v.bias`, [kvHeads * headDim]],
      ]).flat(),
    ),
};
