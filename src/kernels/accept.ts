import source from "../../shaders/speculation/accept.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * Makes the control block that of a pass over the tokens which follow those that are known and those that were drafted
 * rightly. The word behind the pass's tokens says how many are known.
 *
 * verdict [tokens] u32: the most probable token after each. `most`: tokens that a pass may have.
 */
export const accept = defineKernel({
  name: "accept",
  source,
  params: { most: "u32" },
  buffers: { verdict: "read" },
  weights: false,
  control: "read_write",
  constants: {},
  grid: () => [1, 1, 1],
  work: (_params, _constants, { tokens }) => ({ words: 2 * tokens, multiplyAdds: 0 }),
});
