import gelu from "../../shaders/act/gelu.wgsl?raw";
import relu from "../../shaders/act/relu.wgsl?raw";
import silu from "../../shaders/act/silu.wgsl?raw";
import swigluOai from "../../shaders/act/swiglu_oai.wgsl?raw";
import normed from "../../shaders/linear/input/normed.wgsl?raw";
import plain from "../../shaders/linear/input/plain.wgsl?raw";
import one from "../../shaders/linear/matrices/one.wgsl?raw";
import three from "../../shaders/linear/matrices/three.wgsl?raw";
import two from "../../shaders/linear/matrices/two.wgsl?raw";
import rowDots from "../../shaders/linear/row_dots.wgsl?raw";
import rowDotsType from "../../shaders/linear/row_dots_type.wgsl?raw";
import sharedDown from "../../shaders/moe/shared/down.wgsl?raw";
import sharedGateUp from "../../shaders/moe/shared/gate_up.wgsl?raw";
import noSharedDown from "../../shaders/moe/shared/no_down.wgsl?raw";
import noSharedGateUp from "../../shaders/moe/shared/no_gate_up.wgsl?raw";
import activatedConv from "../../shaders/recurrent/activated_conv.wgsl?raw";
import gatedConv from "../../shaders/recurrent/gated_conv.wgsl?raw";
import serial from "../../shaders/reduce/serial.wgsl?raw";
import workgroup from "../../shaders/reduce/workgroup.wgsl?raw";
import byLogit from "../../shaders/routing/rank/by_logit.wgsl?raw";
import byScore from "../../shaders/routing/rank/by_score.wgsl?raw";
import type { WeightFormat } from "../formats/format.ts";
import { weightParts } from "../formats/parts.ts";
import type { Constants } from "../gpu/kernel.ts";

/** Shader parts of the activation functions. */
export const activationParts = { silu, relu, gelu, "swiglu-oai": swigluOai } as const;

/** Shader parts of what routers rank experts by. */
export const rankingParts = { byLogit, byScore } as const;

/** Shader parts of what a product reads: its input as it is, or the RMS norm of it. */
export const inputParts = { plain, normed } as const;

/** Shader parts of a matvec of one, two or three matrices. */
export const matricesParts = [one, two, three] as const;

/** Shader parts of layers with and without shared experts. */
export const sharedParts = {
  gateUp: sharedGateUp,
  noGateUp: noSharedGateUp,
  down: sharedDown,
  noDown: noSharedDown,
} as const;

/** How a kernel calls the products with one of its matrices. */
export interface RowDotsOptions {
  /** Of group 1: which buffer the matrix lies in. */
  readonly binding?: number;
  /** The constant that says how many lanes share a row. */
  readonly lanes?: string;
}

/**
 * The parts of `row_dots_NAME`, the products with a matrix of `format`: see `shaders/linear/row_dots.wgsl`.
 *
 * @example
 * parts: [...rowDotsParts(q.format, "a"), ...rowDotsParts(k.format, "b", { binding: 1 })]
 */
export function rowDotsParts(
  format: WeightFormat,
  name: string,
  { binding = 0, lanes = "LANES" }: RowDotsOptions = {},
): readonly string[] {
  const loader = `load_${name}`;
  const dots = rowDots
    .replaceAll("load_weights", loader)
    .replaceAll("row_dots", `row_dots_${name}`)
    .replaceAll("LANES", lanes);
  return [rowDotsType, dots, ...weightParts(format, loader, binding)];
}

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
    matrix: { reduce: serial, constants: { LANES: 1, ROWS: 16 } },
    batch: { reduce: serial, constants: { LANES: 1, ROWS: 16 } },
    experts: { reduce: serial, constants: { LANES: 1, ROWS: 16 } },
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
