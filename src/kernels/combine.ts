import source from "../../shaders/moe/combine.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * Residual, if there is one, plus the weighted sum of the chosen experts' outputs, in the router's order.
 *
 * x [pairs, hidden] · expert_weights [MoE layers, max tokens, top_k] · residual, y [tokens, hidden] f32.
 */
export const combine = defineKernel({
  name: "combine",
  source,
  params: { hidden: "u32", top_k: "u32", routing_first: "u32", has_residual: "u32" },
  buffers: { x: "read", expert_weights: "read", residual: "read", y: "read_write" },
  weights: false,
  control: "read",
  constants: { LANES: 64 },
  grid: ({ hidden }, { LANES = 64 }, tokens) => [Math.ceil(hidden / LANES), tokens, 1],
  work: ({ hidden, top_k, has_residual }, _constants, { tokens }) => ({
    words: tokens * (hidden * (top_k + 1 + has_residual) + top_k),
    multiplyAdds: tokens * hidden * top_k,
  }),
});
