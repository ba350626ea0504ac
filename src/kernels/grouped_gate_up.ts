import dots from "../../shaders/linear/tile_dots.wgsl?raw";
import source from "../../shaders/moe/grouped_gate_up.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";
import { mostTiles } from "./group_tokens.ts";

/** Rows of gate and of up that a lane computes. */
const TILE_ROWS = 2;

/**
 * `expert_gate_up` for a chunk of tokens: over the tiles that `group_tokens` listed; the input is x or its RMS norm.
 *
 * x [tokens, cols] · vectors: the norm's weights · pairs and tiles: what `group_tokens` wrote · y [pairs, ffn]. `cols`
 * is a multiple of 8.
 */
export const groupedGateUp = defineKernel({
  name: "grouped_gate_up",
  source: `${source}\n${dots}`,
  params: {
    cols: "u32",
    ffn: "u32",
    top_k: "u32",
    slot_words: "u32",
    gate_first: "u32",
    up_first: "u32",
    arena_first: "u32",
    arena_slots: "u32",
    slot_count: "u32",
    gate_bias_first: "u32",
    up_bias_first: "u32",
    epsilon: "f32",
  },
  buffers: { x: "read", vectors: "read", pairs: "read", tiles: "read", y: "read_write" },
  weights: true,
  control: "read",
  constants: { LANES: 1, ROWS: 32, BIASED: 0 },
  grid: ({ ffn, top_k, slot_count }, { ROWS = 32 }, tokens) => [
    Math.ceil(ffn / TILE_ROWS / ROWS),
    mostTiles(tokens * top_k, slot_count),
    1,
  ],
  work: ({ cols, ffn, top_k, arena_slots }, _constants, { tokens }) => {
    const pairs = tokens * top_k;
    const weights = Math.min(pairs, arena_slots) * cols * ffn;
    return {
      words: tokens * cols + pairs * (ffn + 1),
      multiplyAdds: 2 * pairs * cols * ffn,
      weights: { load_gate: weights, load_up: weights },
    };
  },
});
