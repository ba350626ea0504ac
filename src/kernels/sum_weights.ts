import best from "../../shaders/sample/best.wgsl?raw";
import bins from "../../shaders/sample/bins.wgsl?raw";
import blocks from "../../shaders/sample/blocks.wgsl?raw";
import find from "../../shaders/sample/find.wgsl?raw";
import places from "../../shaders/sample/places.wgsl?raw";
import reply from "../../shaders/sample/reply.wgsl?raw";
import source from "../../shaders/sample/sum_weights.wgsl?raw";
import weight from "../../shaders/sample/weight.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";
import { logitBlocks, peakWords } from "./sampling.ts";

/**
 * The sum of each block's weights in the draw.
 *
 * reply: `ReplyBlock` · logits [vocab] f32 · peaks [blocks] · bins [`BIN_WORDS`] u32 · sums [blocks] f32.
 */
export const sumWeights = defineKernel({
  name: "sum_weights",
  source: [source, best, bins, blocks, find, places, reply, weight].join("\n"),
  params: { vocab: "u32" },
  buffers: { reply: "read", logits: "read", peaks: "read", bins: "read_write", sums: "read_write" },
  weights: false,
  control: "read",
  constants: {},
  grid: ({ vocab }) => [logitBlocks(vocab), 1, 1],
  work: ({ vocab }) => ({
    words: vocab + peakWords(vocab) + logitBlocks(vocab),
    multiplyAdds: 0,
  }),
});
