import gelu from "../../shaders/act/gelu.wgsl?raw";
import relu from "../../shaders/act/relu.wgsl?raw";
import silu from "../../shaders/act/silu.wgsl?raw";
import swigluOai from "../../shaders/act/swiglu_oai.wgsl?raw";
import headColumns from "../../shaders/linear/heads/columns.wgsl?raw";
import headRows from "../../shaders/linear/heads/rows.wgsl?raw";
import centred from "../../shaders/linear/input/centred.wgsl?raw";
import layerNormed from "../../shaders/linear/input/layer_normed.wgsl?raw";
import normed from "../../shaders/linear/input/normed.wgsl?raw";
import ownRow from "../../shaders/linear/input/own_row.wgsl?raw";
import plain from "../../shaders/linear/input/plain.wgsl?raw";
import summedRow from "../../shaders/linear/input/summed_row.wgsl?raw";
import uncentred from "../../shaders/linear/input/uncentred.wgsl?raw";
import one from "../../shaders/linear/matrices/one.wgsl?raw";
import three from "../../shaders/linear/matrices/three.wgsl?raw";
import two from "../../shaders/linear/matrices/two.wgsl?raw";
import rowDots from "../../shaders/linear/row_dots.wgsl?raw";
import rowDotsScaled from "../../shaders/linear/row_dots_scaled.wgsl?raw";
import rowDotsType from "../../shaders/linear/row_dots_type.wgsl?raw";
import eights from "../../shaders/linear/unit/eights.wgsl?raw";
import sharedDown from "../../shaders/moe/shared/down.wgsl?raw";
import sharedGateUp from "../../shaders/moe/shared/gate_up.wgsl?raw";
import noSharedDown from "../../shaders/moe/shared/no_down.wgsl?raw";
import noSharedGateUp from "../../shaders/moe/shared/no_gate_up.wgsl?raw";
import statistics from "../../shaders/norm/statistics.wgsl?raw";
import activatedConv from "../../shaders/recurrent/activated_conv.wgsl?raw";
import gatedConv from "../../shaders/recurrent/gated_conv.wgsl?raw";
import serial from "../../shaders/reduce/serial.wgsl?raw";
import subgroup from "../../shaders/reduce/subgroup.wgsl?raw";
import workgroup from "../../shaders/reduce/workgroup.wgsl?raw";
import normsAlone from "../../shaders/rope/norms/alone.wgsl?raw";
import noNorms from "../../shaders/rope/norms/none.wgsl?raw";
import normsShared from "../../shaders/rope/norms/shared.wgsl?raw";
import squares from "../../shaders/rope/norms/squares.wgsl?raw";
import rotatedNumbers from "../../shaders/rope/rotated/numbers.wgsl?raw";
import rotatedQuads from "../../shaders/rope/rotated/quads.wgsl?raw";
import byLogit from "../../shaders/routing/rank/by_logit.wgsl?raw";
import byScore from "../../shaders/routing/rank/by_score.wgsl?raw";
import type { WeightFormat } from "../formats/format.ts";
import { aloneParts, blockParts, weightParts } from "../formats/parts.ts";
import type { Constants } from "../gpu/kernel.ts";
import type { attentionKeys } from "./attention.ts";

/** Shader parts of the activation functions. */
export const activationParts = { silu, relu, gelu, "swiglu-oai": swigluOai } as const;

/** Shader parts of what routers rank experts by. */
export const rankingParts = { byLogit, byScore } as const;

/** Shader parts of what a kernel reads whose workgroups have several tokens: its input as it is, or the RMS norm of it. */
export const tileInputParts = {
  plain: `${plain}\n${eights}`,
  normed: [normed, ownRow, eights].join("\n"),
} as const;

/** The same of a kernel whose workgroups have one token: also a layer norm, or one whose mean is taken for 0. */
export const inputParts = {
  ...tileInputParts,
  layerNormed: [layerNormed, centred, statistics, eights].join("\n"),
  uncentred: [layerNormed, uncentred, statistics, eights].join("\n"),
} as const;

/** The same of the router: also the RMS norm of a sum of a residual and the RMS norm of its input. */
export const routerInputParts = {
  ...inputParts,
  summed: [normed, summedRow, statistics, eights].join("\n"),
} as const;

/** Shader parts of how lanes find what heads of queries, keys and values are normalised by. */
export const headNormParts = {
  none: noNorms,
  alone: normsAlone,
  shared: `${squares}\n${normsShared}`,
} as const;

/**
 * Shader parts of how their numbers are rotated: one by one, or four at once, where `rope.first` is a multiple of 4 and
 * `rope.dims` of 8.
 */
export const rotatedParts = { numbers: rotatedNumbers, quads: rotatedQuads } as const;

/** Shader parts of products with each head's matrix, by its rows or by its columns. */
export const headParts = { rows: headRows, columns: headColumns } as const;

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
  /** Whether the matrix is read in blocks of integers, as the unit of the kernel's input says. */
  readonly integers?: boolean;
  /** Whether its buffer is the kernel's only one of weights, and holds nothing else. */
  readonly alone?: boolean;
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
  { binding = 0, lanes = "LANES", integers = false, alone = false }: RowDotsOptions = {},
): readonly string[] {
  const loader = `load_${name}`;
  const text = format.isScaled && !integers ? rowDotsScaled : rowDots;
  const dots = text
    .replace(/\b(load|scale|unit)_weights\b/g, `$1_${name}`)
    .replaceAll("row_dots", `row_dots_${name}`)
    .replaceAll("LANES", lanes);
  const weights = alone
    ? aloneParts(format, loader)
    : (integers ? blockParts : weightParts)(format, loader, binding);
  return [rowDotsType, dots, ...weights];
}

/** Shader parts of what goes into a causal convolution and what becomes of it. */
export const convParts = { gated: gatedConv, activated: activatedConv } as const;

/** The sizes of a family's workgroups. */
export interface Sizes {
  readonly constants: Constants;
}

/** `LANES` are the least: as many as a head's values need. `GROUPS` are the most. */
export interface AttentionSizes extends Sizes {
  /** Of each tile, a lane's. */
  readonly laneKeys: keyof typeof attentionKeys;
  /** Least number of keys of one token that are a workgroup's work; 0: a workgroup takes all of them. */
  readonly splitKeys: number;
}

/** Of what readies heads for attention. */
export interface RotateSizes extends Sizes {
  /** How the norm of a head is found, if it has one. */
  readonly norms: "alone" | "shared";
}

/** Shader parts of how lanes share a sum. */
export const reduceParts = { serial, workgroup, subgroup } as const;

/** Lanes of the largest workgroup in which rows are summed: `MAX_INVOCATIONS` of `shaders/reduce`. */
export const MOST_SUMMING = 256;

/** How the lanes of a workgroup share a row's sum, and the sizes that suit it. */
export interface Reduction extends Sizes {
  /** Supplies `row_sum` and `row_sum4`. */
  readonly reduce: string;
  /** Fours of rows that a lane of `row_dots` takes at once, 1 or 2; default 1. A workgroup has as many rows either way. */
  readonly fours?: number;
}

/** The constants of a kernel that calls `row_dots`. */
export function rowDotsConstants({ constants, fours = 1 }: Reduction): Constants {
  return { ...constants, ROWS: constants.ROWS! / fours, FOURS: fours };
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
  readonly rotate: RotateSizes;
  readonly attention: AttentionSizes;
  readonly router: Sizes;
}

/** A family of kernels that is chosen for by itself. */
export type FamilyName = keyof Variant;

/**
 * Where many rows share a workgroup: ROWS times as many as a kernel's tile has. A thread a tile for software adapters,
 * where a barrier costs more than the row; eight rows at once, since what costs most there is to read the input. On GPUs lanes share a row, so that neighbours read neighbouring words; where the
 * device has subgroups, their sums take fewer barriers or none.
 */
const rowSums = {
  serial: { reduce: serial, constants: { LANES: 1, ROWS: 16 }, fours: 2 },
  "serial-4": { reduce: serial, constants: { LANES: 1, ROWS: 4 } },
  "serial-64": { reduce: serial, constants: { LANES: 1, ROWS: 64 }, fours: 2 },
  workgroup: { reduce: workgroup, constants: { LANES: 32, ROWS: 4 } },
  "workgroup-8": { reduce: workgroup, constants: { LANES: 8, ROWS: 16 } },
  "workgroup-64": { reduce: workgroup, constants: { LANES: 64, ROWS: 2 } },
  subgroup: { reduce: subgroup, constants: { LANES: 32, ROWS: 4 } },
  "subgroup-8": { reduce: subgroup, constants: { LANES: 8, ROWS: 16 } },
  "subgroup-64": { reduce: subgroup, constants: { LANES: 64, ROWS: 2 } },
  "subgroup-32x2": { reduce: subgroup, constants: { LANES: 32, ROWS: 2 } },
  "subgroup-32x8": { reduce: subgroup, constants: { LANES: 32, ROWS: 8 } },
} as const;

/** Where a token's row has a workgroup of its own. */
const wholeSums = {
  serial: { reduce: serial, constants: { LANES: 1, ROWS: 1 } },
  workgroup: { reduce: workgroup, constants: { LANES: 128, ROWS: 1 } },
  "workgroup-32": { reduce: workgroup, constants: { LANES: 32, ROWS: 1 } },
  subgroup: { reduce: subgroup, constants: { LANES: 128, ROWS: 1 } },
  "subgroup-32": { reduce: subgroup, constants: { LANES: 32, ROWS: 1 } },
} as const;

/** All that a family may be, by name. Which of it an adapter tries is in `engine/tuning`. */
export const candidates = {
  matrix: rowSums,
  batch: rowSums,
  experts: rowSums,
  columns: {
    serial: { constants: { LANES: 64, SPLITS: 1 } },
    "serial-16": { constants: { LANES: 16, SPLITS: 1 } },
    workgroup: { constants: { LANES: 32, SPLITS: 8 } },
    "workgroup-16": { constants: { LANES: 16, SPLITS: 16 } },
    "workgroup-64": { constants: { LANES: 64, SPLITS: 4 } },
  },
  norm: wholeSums,
  // A lane has four numbers of a head at once.
  rotate: {
    serial: { constants: { LANES: 4 }, norms: "alone" },
    workgroup: { constants: { LANES: 32 }, norms: "shared" },
  },
  attention: {
    // No fewer: see `paramsBinding` in gpu/device.ts.
    serial: { constants: { LANES: 8, GROUPS: 1 }, laneKeys: "four", splitKeys: 0 },
    workgroup: { constants: { LANES: 32, GROUPS: 4 }, laneKeys: "one", splitKeys: 32 },
    "workgroup-64": { constants: { LANES: 64, GROUPS: 2 }, laneKeys: "one", splitKeys: 64 },
    "workgroup-4": { constants: { LANES: 32, GROUPS: 4 }, laneKeys: "four", splitKeys: 128 },
  },
  router: {
    // No more: each four lanes more cost software adapters as much as what the lanes compute. No fewer: as above.
    serial: { constants: { LANES: 8, PARTS: 1 } },
    workgroup: { constants: { LANES: 256, PARTS: 4 } },
    "workgroup-64": { constants: { LANES: 64, PARTS: 4 } },
    // All of a router is read by one workgroup: the more lanes, the more of it is on its way at once.
    "workgroup-1024": { constants: { LANES: 1024, PARTS: 4 } },
  },
} as const satisfies { readonly [family in FamilyName]: Record<string, Variant[family]> };

type Candidates = typeof candidates;

/** Every family. */
export const familyNames = Object.keys(candidates) as readonly FamilyName[];

/** The candidates of one name, from all families. */
function allNamed<Name extends "serial" | "workgroup">(
  name: Name,
): { readonly [family in FamilyName]: Candidates[family][Name] } {
  const named = familyNames.map((family) => [family, candidates[family][name]]);
  return Object.fromEntries(named);
}

/** The plainest choices: any device can run them. */
export const variants = {
  serial: allNamed("serial"),
  workgroup: allNamed("workgroup"),
} as const satisfies Record<string, Variant>;

/** For devices with subgroups. */
export const subgroupVariant = {
  ...variants.workgroup,
  matrix: rowSums.subgroup,
  batch: rowSums.subgroup,
  experts: rowSums.subgroup,
  norm: wholeSums.subgroup,
} as const satisfies Variant;

/** Whether a choice runs only where the device has subgroups. */
export function needsSubgroups(choice: Sizes | Reduction): boolean {
  return "reduce" in choice && choice.reduce === subgroup;
}

/** The same sums, bit for bit, for a kernel where the lanes of a row are not neighbours. */
export function amongStrangers(reduction: Reduction): Reduction {
  if (!needsSubgroups(reduction)) return reduction;
  const { LANES = 1, ROWS = 1 } = reduction.constants;
  return { reduce: workgroup, constants: { LANES, ROWS } };
}

/** What is known of all subgroups of a device spares a barrier. */
export function withLeastSubgroup<Choice extends Sizes>(choice: Choice, lanes: number): Choice {
  if (!needsSubgroups(choice)) return choice;
  return { ...choice, constants: { ...choice.constants, LEAST_SUBGROUP: lanes } };
}

/** The name of a variant. */
export type VariantName = keyof typeof variants;
