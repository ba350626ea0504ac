import source from "../../shaders/speculation/shift.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * Makes the control block that of a pass over the tokens which follow those of the pass. The word behind the pass's
 * tokens is the last of them, or 0xffffffff: then it is the most probable one.
 *
 * verdict [1] u32: the most probable token after the pass. `most`: tokens that a pass may have.
 */
export const shift = defineKernel({
  name: "shift",
  source,
  params: { most: "u32" },
  buffers: { verdict: "read" },
  weights: false,
  control: "read_write",
  constants: {},
  grid: () => [1, 1, 1],
  work: (_params, _constants, { tokens }) => ({ words: 2 * tokens, multiplyAdds: 0 }),
});
