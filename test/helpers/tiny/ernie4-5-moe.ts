import { g } from "../gguf-writer.ts";
import type { TinyArchitecture } from "./settings.ts";

/** A dense layer, then experts whose choice is biased, with a shared one beside them. */
export const ernie45Moe: TinyArchitecture = {
  keys: ({ ffn, denseLead, moeStep }) => ({
    expert_shared_feed_forward_length: g.u32(ffn / 2),
    expert_shared_count: g.u32(1),
    leading_dense_block_count: g.u32(denseLead),
    interleave_moe_layer_step: g.u32(moeStep),
  }),
  optional: ({ layers, experts, selectionBias }) =>
    selectionBias
      ? Object.fromEntries(
          Array.from({ length: layers }, (_, layer) => [
            `blk.${layer}.exp_probs_b.bias`,
            [experts],
          ]),
        )
      : {},
};
