import source from "../../shaders/sample/argmax.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * The most probable token, ties to the lowest id.
 *
 * logits [vocab] f32 · result [1] u32, 0xffffffff when every logit is NaN.
 */
export const argmax = defineKernel({
  name: "argmax",
  source,
  params: { vocab: "u32" },
  buffers: { logits: "read", result: "read_write" },
  weights: false,
  control: "read",
  constants: { LANES: 64 },
  grid: () => [1, 1, 1],
  work: ({ vocab }) => ({ words: vocab + 1, multiplyAdds: 0 }),
});
