import source from "../../shaders/moe/router.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/** Start of a vector that a router does not have. */
export const NO_VECTOR = 0xffff_ffff;

/**
 * Top-k routing of each token; with `looks_up` also page-table look-up and fault flag.
 *
 * x [tokens, hidden] · router [experts, hidden] in any format · page_table [pools, experts] · vectors: router bias,
 * selection bias and expert scale, each [experts], where params give their starts, {@link NO_VECTOR} for none · ids,
 * slots, expert_weights [MoE layers, max tokens, top_k]. `experts` is at most 512, `experts * PARTS` at most 2048.
 */
export const router = defineKernel({
  name: "router",
  source,
  params: {
    hidden: "u32",
    experts: "u32",
    top_k: "u32",
    moe_index: "u32",
    page_first: "u32",
    routing_first: "u32",
    renormalise: "u32",
    looks_up: "u32",
    scale: "f32",
    router_bias: "u32",
    selection_bias: "u32",
    expert_scale: "u32",
    groups: "u32",
    groups_kept: "u32",
  },
  buffers: {
    x: "read",
    page_table: "read",
    vectors: "read",
    ids: "read_write",
    slots: "read_write",
    expert_weights: "read_write",
  },
  weights: true,
  control: "read_write",
  constants: { LANES: 64, PARTS: 1 },
  grid: (_params, _constants, tokens) => [tokens, 1, 1],
  work: ({ hidden, experts, top_k }, _constants, { tokens }) => ({
    words: tokens * (hidden + 4 * top_k),
    multiplyAdds: tokens * experts * hidden,
    weights: { load_weights: experts * hidden },
  }),
});
