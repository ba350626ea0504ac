import source from "../../shaders/sample/argmax.wgsl?raw";
import give from "../../shaders/sample/give.wgsl?raw";
import reply from "../../shaders/sample/reply.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * Chooses the most probable token, ties to the lowest id, and ends a pass with it.
 *
 * logits [vocab] f32 · reply: `ReplyBlock` · result [1] u32, 0xffffffff when every logit is NaN.
 */
export const argmax = defineKernel({
  name: "argmax",
  source: `${source}\n${give}\n${reply}`,
  params: { vocab: "u32" },
  buffers: { logits: "read", reply: "read", result: "read_write" },
  weights: false,
  control: "read_write",
  constants: { LANES: 64 },
  grid: () => [1, 1, 1],
  work: ({ vocab }) => ({ words: vocab + 1, multiplyAdds: 0 }),
});
