import source from "../../shaders/recurrent/ssm_scan.wgsl?raw";
import { defineKernel, foldGrid } from "../gpu/kernel.ts";

/**
 * The scan of Mamba 2 over the tokens of a pass.
 *
 * x [tokens, width]: u [heads, head_dim], b and c [groups, state_dim] · projected [tokens, projected_width] · heads_own
 * [3, heads] · state [heads, head_dim, state_dim] · y [tokens, heads, head_dim], all f32. `heads * head_dim`,
 * `state_dim` and `width` are multiples of 4.
 */
export const ssmScan = defineKernel({
  name: "ssm_scan",
  source,
  params: {
    heads: "u32",
    head_dim: "u32",
    groups: "u32",
    state_dim: "u32",
    width: "u32",
    projected_width: "u32",
    times_first: "u32",
  },
  buffers: {
    x: "read",
    projected: "read",
    heads_own: "read",
    state: "read_write",
    y: "read_write",
  },
  weights: false,
  control: "read",
  constants: { LANES: 1, ROWS: 64 },
  grid: ({ heads, head_dim }, { ROWS = 64 }) => foldGrid(Math.ceil((heads * head_dim) / ROWS)),
  work: ({ heads, head_dim, state_dim, width }, _constants, { tokens }) => ({
    words: 2 * heads * head_dim * state_dim + tokens * (width + heads + heads * head_dim),
    multiplyAdds: tokens * heads * head_dim * 2 * state_dim,
  }),
});
