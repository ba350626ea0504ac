import gelu from "../../shaders/act/gelu.wgsl?raw";
import relu from "../../shaders/act/relu.wgsl?raw";
import silu from "../../shaders/act/silu.wgsl?raw";
import swigluOai from "../../shaders/act/swiglu_oai.wgsl?raw";
import activatedConv from "../../shaders/recurrent/activated_conv.wgsl?raw";
import gatedConv from "../../shaders/recurrent/gated_conv.wgsl?raw";
import serial from "../../shaders/reduce/serial.wgsl?raw";
import workgroup from "../../shaders/reduce/workgroup.wgsl?raw";
import byLogit from "../../shaders/routing/rank/by_logit.wgsl?raw";
import byScore from "../../shaders/routing/rank/by_score.wgsl?raw";
import type { Constants } from "../gpu/kernel.ts";

/** Shader parts of the activation functions. */
export const activationParts = { silu, relu, gelu, "swiglu-oai": swigluOai } as const;

/** Shader parts of what routers rank experts by. */
export const rankingParts = { byLogit, byScore } as const;

/** Shader parts of what goes into a causal convolution and what becomes of it. */
export const convParts = { gated: gatedConv, activated: activatedConv } as const;

/** The sizes of a family's workgroups. */
export interface Sizes {
  readonly constants: Constants;
}

/** How the lanes of a workgroup share a row's sum, and the sizes that suit it. */
export interface Reduction extends Sizes {
  /** Supplies `row_sum` and `row_sum4`. */
  readonly reduce: string;
}

/** One choice for each family of kernels: those of a family do the same kind of work, so the same suits them. */
export interface Variant {
  /** Products of a matrix and one token's row; also the scan of a recurrent layer. */
  readonly matrix: Reduction;
  /** Products of a matrix and several tokens' rows. */
  readonly batch: Reduction;
  readonly experts: Reduction;
  /** Experts' down products by columns. */
  readonly columns: Sizes;
  readonly norm: Reduction;
  readonly rotate: Reduction;
  readonly attention: Sizes;
  readonly router: Sizes;
}

/**
 * The variants of the hot kernels. `serial`: a thread a row, no barrier, for software adapters, where a barrier costs
 * more than the row. `workgroup`: lanes share a row, so that neighbours read neighbouring words, for GPUs.
 */
export const variants = {
  serial: {
    matrix: { reduce: serial, constants: { LANES: 1, ROWS: 64 } },
    batch: { reduce: serial, constants: { LANES: 1, ROWS: 64 } },
    experts: { reduce: serial, constants: { LANES: 1, ROWS: 64 } },
    columns: { constants: { LANES: 64, SPLITS: 1 } },
    norm: { reduce: serial, constants: { LANES: 1, ROWS: 1 } },
    rotate: { reduce: serial, constants: { LANES: 1, ROWS: 1 } },
    attention: { constants: { LANES: 32 } },
    router: { constants: { LANES: 32, PARTS: 1 } },
  },
  workgroup: {
    matrix: { reduce: workgroup, constants: { LANES: 32, ROWS: 4 } },
    batch: { reduce: workgroup, constants: { LANES: 32, ROWS: 4 } },
    experts: { reduce: workgroup, constants: { LANES: 32, ROWS: 4 } },
    columns: { constants: { LANES: 32, SPLITS: 8 } },
    norm: { reduce: workgroup, constants: { LANES: 128, ROWS: 1 } },
    rotate: { reduce: workgroup, constants: { LANES: 32, ROWS: 1 } },
    attention: { constants: { LANES: 64 } },
    router: { constants: { LANES: 256, PARTS: 4 } },
  },
} as const satisfies Record<string, Variant>;

/** The name of a variant. */
export type VariantName = keyof typeof variants;
