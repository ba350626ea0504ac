import best from "../../shaders/sample/best.wgsl?raw";
import bins from "../../shaders/sample/bins.wgsl?raw";
import blocks from "../../shaders/sample/blocks.wgsl?raw";
import source from "../../shaders/sample/count_logits.wgsl?raw";
import find from "../../shaders/sample/find.wgsl?raw";
import places from "../../shaders/sample/places.wgsl?raw";
import reply from "../../shaders/sample/reply.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";
import { logitBlocks, peakWords } from "./sampling.ts";

/**
 * Counts tokens in bins by their logits, to find the cutoff of top-k (tables 0, then 1) and of top-p (0, then 2).
 *
 * reply: `ReplyBlock` · logits [vocab] f32 · peaks [blocks] · bins [`BIN_WORDS`] u32.
 */
export const countLogits = defineKernel({
  name: "count_logits",
  source: [source, best, bins, blocks, find, places, reply].join("\n"),
  params: { vocab: "u32" },
  buffers: { reply: "read", logits: "read", peaks: "read", bins: "read_write" },
  weights: false,
  control: "read",
  constants: { TABLE: 0 },
  grid: ({ vocab }) => [logitBlocks(vocab), 1, 1],
  work: ({ vocab }) => ({ words: vocab + peakWords(vocab), multiplyAdds: 0 }),
});
