import source from "../../shaders/moe/expert_gate_up.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * `gated(gate x + gate bias, up x + up bias)` of every chosen expert that lies in one arena; without `BIASED` there are
 * no biases.
 *
 * x [tokens, hidden] · slots [MoE layers, max tokens, top_k] · y [pairs, ffn]. `hidden` is a multiple of 8.
 */
export const expertGateUp = defineKernel({
  name: "expert_gate_up",
  source,
  params: {
    hidden: "u32",
    ffn: "u32",
    top_k: "u32",
    routing_first: "u32",
    slot_words: "u32",
    gate_first: "u32",
    up_first: "u32",
    arena_first: "u32",
    arena_slots: "u32",
    gate_bias_first: "u32",
    up_bias_first: "u32",
  },
  buffers: { x: "read", slots: "read", y: "read_write" },
  weights: true,
  control: "read",
  constants: { LANES: 1, ROWS: 64, BIASED: 0 },
  grid: ({ ffn, top_k }, { ROWS = 64 }, tokens) => [Math.ceil(ffn / ROWS), tokens * top_k, 1],
  work: ({ hidden, ffn, top_k, arena_slots }, _constants, { tokens }) => {
    const pairs = tokens * top_k;
    const weights = Math.min(pairs, arena_slots) * hidden * ffn;
    return {
      words: tokens * hidden + pairs * (ffn + 1),
      multiplyAdds: 2 * pairs * hidden * ffn,
      weights: { load_gate: weights, load_up: weights },
    };
  },
});
