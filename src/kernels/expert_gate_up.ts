import source from "../../shaders/moe/expert_gate_up.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";
import { TILE_ROWS } from "./matvec.ts";

/**
 * `gated(gate input + gate bias, up input + up bias)` of every chosen expert that lies in one arena, and of the experts
 * that all tokens share; the input is x or its RMS norm. Without `BIASED` there are no biases. `SHARED` is 0 (none), 1,
 * 2 where the shared ones count by the sigmoid of a number of their own, or 3 where their norm has weights of its own.
 *
 * x [tokens, cols] · vectors: those of the norm, then from `shared_vector` on the row that makes that number or the norm's · slots [MoE layers, max tokens,
 * top_k] · y [pairs, ffn], then [tokens, shared_ffn] and [tokens] from where params say. Buffers of weights: the arena,
 * then gate and up of the shared experts. `cols` is a multiple of 8.
 */
export const expertGateUp = defineKernel({
  name: "expert_gate_up",
  source,
  params: {
    cols: "u32",
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
    shared_ffn: "u32",
    shared_first: "u32",
    shared_vector: "u32",
    shared_weights_first: "u32",
    epsilon: "f32",
  },
  buffers: { x: "read", vectors: "read", slots: "read", y: "read_write" },
  weights: 3,
  control: "read",
  constants: { LANES: 1, ROWS: 16, FOURS: 1, BIASED: 0, SHARED: 0 },
  grid: ({ ffn, top_k, shared_ffn }, { ROWS = 16, FOURS = 1, SHARED = 0 }, tokens) => [
    Math.ceil(Math.max(ffn, SHARED ? shared_ffn : 0) / (TILE_ROWS * FOURS * ROWS)),
    tokens * (top_k + Math.min(SHARED, 1)),
    1,
  ],
  work: ({ cols, ffn, top_k, arena_slots, shared_ffn }, { SHARED = 0 }, { tokens }) => {
    const pairs = tokens * top_k;
    const weights = Math.min(pairs, arena_slots) * cols * ffn;
    const shared = SHARED ? shared_ffn : 0;
    return {
      words: tokens * (cols + shared) + pairs * (ffn + 1),
      multiplyAdds: 2 * cols * (pairs * ffn + tokens * shared),
      weights: {
        load_gate: weights,
        load_up: weights,
        ...(SHARED && { load_shared_gate: cols * shared, load_shared_up: cols * shared }),
      },
    };
  },
});
