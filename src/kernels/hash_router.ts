import source from "../../shaders/moe/hash_router.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * The experts of each token by its id, page-table look-up and fault flag; neither of both with `page_first` `NO_PAGES`.
 *
 * table [vocab, top_k] u32, each below the number of experts · page_table [pools, experts] · choices: as the
 * router writes them.
 */
export const hashRouter = defineKernel({
  name: "hash_router",
  source,
  params: {
    vocab: "u32",
    top_k: "u32",
    moe_index: "u32",
    page_first: "u32",
    routing_first: "u32",
    choice_count: "u32",
    weight: "f32",
  },
  buffers: {
    table: "read",
    page_table: "read",
    choices: "read_write",
  },
  weights: false,
  control: "read_write",
  constants: { LANES: 64 },
  grid: ({ top_k }, { LANES = 64 }, tokens) => [Math.ceil((tokens * top_k) / LANES), 1, 1],
  work: ({ top_k }, _constants, { tokens }) => ({
    words: tokens * 5 * top_k,
    multiplyAdds: 0,
  }),
});
