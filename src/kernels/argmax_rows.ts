import source from "../../shaders/sample/argmax_rows.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * The most probable token after each token of a pass, ties to the lowest id.
 *
 * logits [tokens, vocab] f32 · result [tokens] u32, 0xffffffff where every logit is NaN.
 */
export const argmaxRows = defineKernel({
  name: "argmax_rows",
  source,
  params: { vocab: "u32" },
  buffers: { logits: "read", result: "read_write" },
  weights: false,
  control: "read",
  constants: { LANES: 64 },
  grid: (_params, _constants, tokens) => [tokens, 1, 1],
  work: ({ vocab }, _constants, { tokens }) => ({ words: tokens * (vocab + 1), multiplyAdds: 0 }),
});
