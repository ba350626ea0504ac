import source from "../../shaders/moe/expert_down_columns.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * `expert_down` for experts whose down matrix is stored as `[ffn, hidden]`: PowerInfer's conversions of SmallThinker.
 *
 * x [pairs, ffn] · slots [MoE layers, max tokens, top_k] · y [pairs, hidden]. `hidden` is a multiple of 8.
 */
export const expertDownColumns = defineKernel({
  name: "expert_down_columns",
  source,
  params: {
    hidden: "u32",
    ffn: "u32",
    top_k: "u32",
    routing_first: "u32",
    slot_words: "u32",
    down_first: "u32",
    arena_first: "u32",
    arena_slots: "u32",
  },
  buffers: { x: "read", slots: "read", y: "read_write" },
  weights: true,
  control: "read",
  constants: { LANES: 64, SPLITS: 1 },
  grid: ({ hidden, top_k }, { LANES = 64 }, tokens) => [
    Math.ceil(hidden / 8 / LANES),
    tokens * top_k,
    1,
  ],
  work: ({ hidden, ffn, top_k, arena_slots }, _constants, { tokens }) => {
    const pairs = tokens * top_k;
    return {
      words: pairs * (ffn + hidden + 1),
      multiplyAdds: pairs * hidden * ffn,
      weights: { load_weights: Math.min(pairs, arena_slots) * hidden * ffn },
    };
  },
});
