import dots from "../../shaders/linear/tile_dots.wgsl?raw";
import source from "../../shaders/moe/grouped_gate_up.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";
import { mostTiles } from "./group_tokens.ts";

/** Rows of gate and of up that a lane computes. */
const TILE_ROWS = 2;

/**
 * `expert_gate_up` for a chunk of tokens: over the tiles that `group_tokens` listed.
 *
 * x [tokens, hidden] · pairs and tiles: what `group_tokens` wrote · y [pairs, ffn]. `hidden` is a multiple of 8.
 */
export const groupedGateUp = defineKernel({
  name: "grouped_gate_up",
  source: `${source}\n${dots}`,
  params: {
    hidden: "u32",
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
  },
  buffers: { x: "read", pairs: "read", tiles: "read", y: "read_write" },
  weights: true,
  control: "read",
  constants: { LANES: 1, ROWS: 32, BIASED: 0 },
  grid: ({ ffn, top_k, slot_count }, { ROWS = 32 }, tokens) => [
    Math.ceil(ffn / TILE_ROWS / ROWS),
    mostTiles(tokens * top_k, slot_count),
    1,
  ],
});
