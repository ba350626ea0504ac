import gelu from "../../shaders/act/gelu.wgsl?raw";
import relu from "../../shaders/act/relu.wgsl?raw";
import silu from "../../shaders/act/silu.wgsl?raw";
import swigluOai from "../../shaders/act/swiglu_oai.wgsl?raw";
import normed from "../../shaders/linear/input/normed.wgsl?raw";
import plain from "../../shaders/linear/input/plain.wgsl?raw";
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

/** Shader parts of what a product reads: its input as it is, or the RMS norm of it. */
export const inputParts = { plain, normed } as const;

/** Shader parts of what goes into a causal convolution and what becomes of it. */
export const convParts = { gated: gatedConv, activated: activatedConv } as const;

/** How the lanes of a workgroup share a row's dot product, and the sizes that suit it. */
export interface Variant {
  /** Supplies `row_sum`. */
  readonly reduce: string;
  readonly matrix: Constants;
  readonly columns: Constants;
  readonly norm: Constants;
  readonly rotate: Constants;
  readonly attention: Constants;
  readonly router: Constants;
}

/**
 * The variants of the hot kernels. `serial`: a thread a row, no barrier, for software adapters, where a barrier costs
 * more than the row. `workgroup`: lanes share a row, so that neighbours read neighbouring words, for GPUs.
 */
export const variants = {
  serial: {
    reduce: serial,
    matrix: { LANES: 1, ROWS: 64 },
    columns: { LANES: 64, SPLITS: 1 },
    norm: { LANES: 1, ROWS: 1 },
    rotate: { LANES: 1, ROWS: 1 },
    attention: { LANES: 32 },
    router: { LANES: 32, PARTS: 1 },
  },
  workgroup: {
    reduce: workgroup,
    matrix: { LANES: 32, ROWS: 4 },
    columns: { LANES: 32, SPLITS: 8 },
    norm: { LANES: 128, ROWS: 1 },
    rotate: { LANES: 32, ROWS: 1 },
    attention: { LANES: 64 },
    router: { LANES: 256, PARTS: 4 },
  },
} as const satisfies Record<string, Variant>;

/** The name of a variant. */
export type VariantName = keyof typeof variants;
