import source from "../../shaders/sample/logprob.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * The log-probability of the token after the pass: word `tokens` of the control block's ids.
 *
 * logits [vocab] f32 · scores [max tokens] f32, of which the pass's last is written; not finite when a logit is NaN.
 */
export const logprob = defineKernel({
  name: "logprob",
  source,
  params: { vocab: "u32" },
  buffers: { logits: "read", scores: "read_write" },
  weights: false,
  control: "read",
  constants: { LANES: 64 },
  grid: () => [1, 1, 1],
  work: ({ vocab }) => ({ words: vocab + 1, multiplyAdds: vocab }),
});
