import source from "../../shaders/moe/router.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * Top-k routing of each token; with `looks_up` also page-table look-up and fault flag.
 *
 * x [tokens, cols] · router [experts, cols] in any format · page_table [pools, experts] · vectors: the norm's weights, if
 * the router reads one, then router bias, selection bias and expert scale, each [experts], where params give their
 * starts, `NO_VECTOR` for none · ids, slots, expert_weights [MoE layers, max tokens, top_k]. `experts` is at most the constant
 * EXPERTS, for which there has to be workgroup memory.
 */
export const router = defineKernel({
  name: "router",
  source,
  params: {
    cols: "u32",
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
    epsilon: "f32",
    logit_scale: "f32",
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
  constants: { LANES: 64, PARTS: 1, EXPERTS: 512 },
  grid: (_params, _constants, tokens) => [tokens, 1, 1],
  work: ({ cols, experts, top_k }, _constants, { tokens }) => ({
    words: tokens * (cols + 4 * top_k),
    multiplyAdds: tokens * experts * cols,
    weights: { load_router: experts * cols },
  }),
});
