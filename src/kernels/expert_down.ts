import source from "../../shaders/moe/expert_down.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";
import { TILE_ROWS } from "./matvec.ts";

/**
 * `down x + bias` of every chosen expert that lies in one arena; without `BIASED` there is no bias.
 *
 * x [pairs, ffn] · slots [MoE layers, max tokens, top_k] · y [pairs, hidden]. `ffn` is a multiple of 8.
 */
export const expertDown = defineKernel({
  name: "expert_down",
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
    bias_first: "u32",
  },
  buffers: { x: "read", slots: "read", y: "read_write" },
  weights: true,
  control: "read",
  constants: { LANES: 1, ROWS: 16, FOURS: 1, BIASED: 0 },
  grid: ({ hidden, top_k }, { ROWS = 16, FOURS = 1 }, tokens) => [
    Math.ceil(hidden / (TILE_ROWS * FOURS * ROWS)),
    tokens * top_k,
    1,
  ],
  work: ({ hidden, ffn, top_k, arena_slots }, _constants, { tokens }) => {
    const pairs = tokens * top_k;
    return {
      words: pairs * (ffn + hidden + 1),
      multiplyAdds: pairs * hidden * ffn,
      weights: { load_down: Math.min(pairs, arena_slots) * hidden * ffn },
    };
  },
});
