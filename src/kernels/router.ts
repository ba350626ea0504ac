import source from "../../shaders/moe/router.wgsl?raw";
import { type Constants, defineKernel } from "../gpu/kernel.ts";

/** What a router leaves for others to read, as its constant `KEEPS` has it. */
export const ROUTER_KEEPS = { nothing: 0, sum: 1, norm: 2 } as const;

/** Lanes that share experts each add up what the others found: no more than are soon added. */
const MOST_PARTS = 32;

/**
 * The constants of a router of so many experts: where lanes share them, all lanes do, though experts are few. `PARTS` is a
 * power of two, as `LANES` is.
 */
export function routerConstants(constants: Constants, experts: number): Constants {
  const { LANES = 1, PARTS = 1 } = constants;
  if (PARTS === 1) return constants;
  const idle = 2 ** Math.floor(Math.log2(LANES / Math.ceil(experts / 4)));
  return { ...constants, PARTS: Math.min(MOST_PARTS, Math.max(PARTS, idle)) };
}

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
