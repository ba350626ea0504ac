import blocks from "../../shaders/sample/blocks.wgsl?raw";
import reply from "../../shaders/sample/reply.wgsl?raw";
import source from "../../shaders/sample/shape_logits.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";
import { logitBlocks, peakWords } from "./sampling.ts";

/**
 * Penalises recent tokens in place, finds the highest logit of each block and empties the bins.
 *
 * reply: `ReplyBlock` · seen [vocab] u32 · logits [vocab] f32 · peaks [blocks] of (f32, u32) · bins [bin_words] u32.
 */
export const shapeLogits = defineKernel({
  name: "shape_logits",
  source: [source, blocks, reply].join("\n"),
  params: { vocab: "u32", penalises: "u32", bin_words: "u32" },
  buffers: {
    reply: "read",
    seen: "read",
    logits: "read_write",
    peaks: "read_write",
    bins: "read_write",
  },
  weights: false,
  control: "read",
  constants: {},
  grid: ({ vocab }) => [logitBlocks(vocab), 1, 1],
  work: ({ vocab, penalises, bin_words }) => ({
    words: vocab * (1 + Math.min(1, penalises)) + peakWords(vocab) + bin_words,
    multiplyAdds: 0,
  }),
});
