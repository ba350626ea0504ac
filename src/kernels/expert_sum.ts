import source from "../../shaders/moe/expert_sum.wgsl?raw";
import { type Constants, defineKernel } from "../gpu/kernel.ts";
import { TILE_ROWS } from "./matvec.ts";

/**
 * How a token's `choices`, the shared experts one of them, go to the `ROWS` of a workgroup: side by side where lanes share
 * a row, since then they wait for memory and not for each other.
 */
export function choiceConstants({ LANES = 1, ROWS = 1 }: Constants, choices: number): Constants {
  const side = LANES === 1 ? 1 : Math.min(ROWS, 2 ** Math.ceil(Math.log2(choices)));
  return { CHOICES: side, PLACES: side === 1 ? 1 : choices };
}

/**
 * `residual + Σ weight (down x + bias)` over a token's experts, all of them in one arena, in the router's order, and over
 * the experts that all tokens share. `BIASED` and `SHARED` as in `expert_gate_up`; with `SHARED` 3 what the shared ones
 * give is not added, but written to y from `apart_first` on.
 *
 * x: what `expert_gate_up` writes · slots, expert_weights [MoE layers, max tokens, top_k] · residual, y [tokens, hidden].
 * Buffers of weights: the arena, then down of the shared experts. `ffn` and `shared_ffn` are multiples of 8.
 */
export const expertSum = defineKernel({
  name: "expert_sum",
  source,
  params: {
    hidden: "u32",
    ffn: "u32",
    top_k: "u32",
    routing_first: "u32",
    weights_first: "u32",
    slot_words: "u32",
    down_first: "u32",
    arena_slots: "u32",
    bias_first: "u32",
    has_residual: "u32",
    shared_ffn: "u32",
    shared_first: "u32",
    shared_weights_first: "u32",
    shared_scale: "f32",
    apart_first: "u32",
  },
  buffers: {
    x: "read",
    slots: "read",
    expert_weights: "read",
    residual: "read",
    y: "read_write",
  },
  weights: 2,
  control: "read",
  constants: { LANES: 1, ROWS: 16, FOURS: 1, CHOICES: 1, PLACES: 1, BIASED: 0, SHARED: 0 },
  grid: ({ hidden }, { ROWS = 16, FOURS = 1, CHOICES = 1 }, tokens) => [
    Math.ceil(hidden / ((TILE_ROWS * FOURS * ROWS) / CHOICES)),
    tokens,
    1,
  ],
  work: (params, { SHARED = 0 }, { tokens }) => {
    const { hidden, ffn, top_k, arena_slots, has_residual, shared_ffn } = params;
    const pairs = tokens * top_k;
    const shared = SHARED ? shared_ffn : 0;
    return {
      words:
        pairs * (ffn + 2) + tokens * (shared + hidden * (1 + has_residual + Number(SHARED === 3))),
      multiplyAdds: hidden * (pairs * ffn + tokens * shared),
      weights: {
        load_down: Math.min(pairs, arena_slots) * hidden * ffn,
        ...(SHARED && { load_shared_down: hidden * shared }),
      },
    };
  },
});
