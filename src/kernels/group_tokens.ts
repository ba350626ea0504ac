import source from "../../shaders/moe/group_tokens.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/** Pairs of a tile, at most: what the grouped products hold in registers for each row. */
export const TILE_PAIRS = 4;

/** Slots of a pool, at most: they are counted in workgroup memory. */
export const MAX_GROUPED_SLOTS = 512;

/** The most tiles that `pairs` pairs in `slots` slots can make: every slot may have one that is not full. */
export function mostTiles(pairs: number, slots: number, tilePairs = TILE_PAIRS): number {
  return Math.floor((pairs + (tilePairs - 1) * Math.min(pairs, slots)) / tilePairs);
}

/**
 * The (token, choice) pairs of each expert that is there, and tiles of at most `TILE` of them.
 *
 * slots [MoE layers, max tokens, top_k] · pairs [max tokens * top_k] · tiles [1 + {@link mostTiles}, 4].
 * `slot_count` is at most {@link MAX_GROUPED_SLOTS}.
 */
export const groupTokens = defineKernel({
  name: "group_tokens",
  source,
  params: { top_k: "u32", routing_first: "u32", slot_count: "u32" },
  buffers: { slots: "read", pairs: "read_write", tiles: "read_write" },
  weights: false,
  control: "read",
  constants: { LANES: 64, TILE: TILE_PAIRS },
  grid: () => [1, 1, 1],
  work: ({ top_k }, { TILE = TILE_PAIRS }, { tokens }) => ({
    words: 2 * tokens * top_k + 4 * (1 + Math.ceil((tokens * top_k) / TILE)),
    multiplyAdds: 0,
  }),
});
