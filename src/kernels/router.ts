import source from "../../shaders/moe/router.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/** What a router leaves for others to read, as its constant `KEEPS` has it. */
export const ROUTER_KEEPS = { nothing: 0, sum: 1, norm: 2 } as const;

/** Where a page table starts that a router does not look into. */
export const NO_PAGES = 0xffff_ffff;

/**
 * Top-k routing of each token, page-table look-up and fault flag; neither of both with `page_first` {@link NO_PAGES}.
 *
 * x [tokens, cols] · router [experts, cols] in any format · page_table [pools, experts] · vectors: those of the norm, if
 * the router reads one, then router bias, selection bias and expert scale, each [experts], where params give their
 * starts, `NO_VECTOR` for none · choices [3, choice_count]: ids, slots and weights [MoE layers, max tokens, top_k]. With
 * `KEEPS` {@link ROUTER_KEEPS}.sum the norm is that of a sum with residual [tokens, cols], which is written to y
 * [tokens, cols]; with `norm` the layer norm of x is. `experts` is at most the constant EXPERTS, for which there has to be
 * workgroup memory.
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
    choice_count: "u32",
    renormalise: "u32",
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
    residual: "read",
    page_table: "read",
    vectors: "read",
    choices: "read_write",
    y: "read_write",
  },
  weights: true,
  control: "read_write",
  constants: { LANES: 64, PARTS: 1, EXPERTS: 512, KEEPS: 0 },
  grid: (_params, _constants, tokens) => [tokens, 1, 1],
  work: ({ cols, experts, top_k }, { KEEPS = 0 }, { tokens }) => ({
    words: tokens * (cols * (1 + Math.min(KEEPS, 1) + Number(KEEPS === 1)) + 4 * top_k),
    multiplyAdds: tokens * experts * cols,
    weights: { load_router: experts * cols },
  }),
});
