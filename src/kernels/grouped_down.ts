import dots from "../../shaders/linear/tile_dots.wgsl?raw";
import source from "../../shaders/moe/grouped_down.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";
import { mostTiles } from "./group_tokens.ts";

/** Rows that a lane computes. */
const TILE_ROWS = 4;

/**
 * `expert_down` for a chunk of tokens: over the tiles that `group_tokens` listed.
 *
 * x [pairs, ffn] · pairs and tiles: what `group_tokens` wrote · y [pairs, hidden]. `ffn` is a multiple of 8.
 */
export const groupedDown = defineKernel({
  name: "grouped_down",
  source: `${source}\n${dots}`,
  params: {
    hidden: "u32",
    ffn: "u32",
    top_k: "u32",
    slot_words: "u32",
    down_first: "u32",
    arena_first: "u32",
    arena_slots: "u32",
    slot_count: "u32",
    bias_first: "u32",
  },
  buffers: { x: "read", pairs: "read", tiles: "read", y: "read_write" },
  weights: true,
  control: "read",
  constants: { LANES: 1, ROWS: 32, BIASED: 0 },
  grid: ({ hidden, top_k, slot_count }, { ROWS = 32 }, tokens) => [
    Math.ceil(hidden / TILE_ROWS / ROWS),
    mostTiles(tokens * top_k, slot_count),
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
