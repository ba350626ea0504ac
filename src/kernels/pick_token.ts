import best from "../../shaders/sample/best.wgsl?raw";
import blocks from "../../shaders/sample/blocks.wgsl?raw";
import find from "../../shaders/sample/find.wgsl?raw";
import give from "../../shaders/sample/give.wgsl?raw";
import source from "../../shaders/sample/pick_token.wgsl?raw";
import places from "../../shaders/sample/places.wgsl?raw";
import reply from "../../shaders/sample/reply.wgsl?raw";
import uniform from "../../shaders/sample/uniform.wgsl?raw";
import weight from "../../shaders/sample/weight.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";
import { BLOCK, logitBlocks, peakWords } from "./sampling.ts";

/**
 * Draws a token, or takes the most probable one where `DRAWS` or the temperature is 0, and ends a pass with it.
 *
 * reply: `ReplyBlock` · logits, seen [vocab] · peaks, sums [blocks] · bins [`BIN_WORDS`] u32 · result [1] u32,
 * 0xffffffff when every logit is NaN.
 */
export const pickToken = defineKernel({
  name: "pick_token",
  source: [source, best, blocks, find, give, places, reply, uniform, weight].join("\n"),
  params: { vocab: "u32" },
  buffers: {
    reply: "read",
    logits: "read",
    peaks: "read",
    bins: "read",
    sums: "read",
    seen: "read_write",
    result: "read_write",
  },
  weights: false,
  control: "read_write",
  constants: { DRAWS: 1 },
  grid: () => [1, 1, 1],
  work: ({ vocab }, { DRAWS }) => ({
    words: peakWords(vocab) + 1 + (DRAWS ? logitBlocks(vocab) + Math.min(vocab, BLOCK) : 0),
    multiplyAdds: 0,
  }),
});
