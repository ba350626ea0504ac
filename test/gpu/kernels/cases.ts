import { repackMatrix, type WeightFormat } from "../../../src/formats/format.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { subgroupVariant, type Variant, variants } from "../../../src/kernels/parts.ts";
import { normalArray, type Random } from "../../../src/numeric/random.ts";
import { SMALLEST_F16 } from "../../reference/kernels/bounds.ts";

const adapter = await navigator.gpu?.requestAdapter();

/** Whether this browser's device has subgroups: of the adapters of the tests, SwiftShader has. */
export const hasSubgroups = adapter?.features.has("subgroups") ?? false;

/** Lanes that a workgroup may have: of the adapters of the tests, lavapipe allows 1024, SwiftShader 256. */
export const mostLanes = adapter?.limits.maxComputeInvocationsPerWorkgroup ?? 0;

/** Each variant of the hot kernels that this browser's device can run. */
export const variantCases: readonly { readonly name: string; readonly variant: Variant }[] =
  Object.entries({
    ...variants,
    ...(hasSubgroups && { subgroup: subgroupVariant }),
  }).map(([name, variant]) => ({ name, variant }));

/** Formats with one of the variants, in turn, and the first with the other too. */
function inTurn(formats: readonly WeightFormat[]) {
  return [...formats, formats[0]!].map((format, index) => {
    const { name, variant } = variantCases[index % variantCases.length]!;
    return { name: `${format.name}, ${name}`, format, variant };
  });
}

const formats: readonly WeightFormat[] = Object.values(weightFormats);

/** Every format, for the kernel that all of them are tried with. */
export const allFormatCases = inTurn(formats);

/**
 * The first format of each block length, for the other kernels: a kernel sees of a format only how long a row may be, and
 * each more is a pipeline more.
 */
export const formatCases = inTurn(
  formats.filter(
    ({ blockWeights }, index) =>
      formats.findIndex((other) => other.blockWeights === blockWeights) === index,
  ),
);

/** Weights of a unit: what `load_weights` gives at once. */
const UNIT_WEIGHTS = 8;

/** A row's shortest length in `format`. */
export function leastCols({ blockWeights }: WeightFormat): number {
  return Math.max(UNIT_WEIGHTS, blockWeights);
}

/** Widths of models' experts that are no whole blocks of K-quants. */
const MODEL_COLS = [448, 704, 960, 1408, 2880];

/** Lengths of a row: one block, an odd number of them, one unit past the widest workgroup, and a model's, by format. */
export function someCols(format: WeightFormat): number[] {
  const least = leastCols(format);
  const long = Math.ceil((33 * UNIT_WEIGHTS) / least) * least;
  const fitting = MODEL_COLS.filter((cols) => cols % least === 0);
  const modelCols = fitting.slice(formats.indexOf(format) % MODEL_COLS.length).slice(0, 1);
  return [...new Set([least, 3 * least, long, ...modelCols])];
}

/** A weight tensor: in the GPU's layout, and as the numbers that it stands for. */
export interface Matrix {
  readonly packed: Uint8Array<ArrayBuffer>;
  readonly weights: Float32Array;
}

/** A matrix of `rows` rows, normal numbers. */
export function randomMatrix(
  random: Random,
  format: WeightFormat,
  rows: number,
  cols: number,
): Matrix {
  return encodeMatrix(format, normalArray(random, rows * cols, 0.5));
}

/** `weights` in `format`. */
export function encodeMatrix(format: WeightFormat, weights: Float32Array): Matrix {
  // `unpack2x16float` may take what is nearer to 0 for 0.
  const blocks = format.encode(weights.map((w) => (Math.abs(w) < SMALLEST_F16 ? 0 : w)));
  return { packed: repackMatrix(format, blocks), weights: format.decode(blocks) };
}

/** What is done to a random input: nothing, all zero, or one number far above the others. */
export const plants = ["none", "zeros", "huge"] as const;
export type Plant = (typeof plants)[number];

/** `length` normal numbers with `plant` in them. */
export function randomInput(
  random: Random,
  length: number,
  plant: Plant = "none",
): Float32Array<ArrayBuffer> {
  const values = normalArray(random, length);
  if (plant === "zeros") values.fill(0);
  if (plant === "huge") values[random.integer(length)] = 1e6;
  return values;
}

/** `values`, then NaN up to `length`: what no result may depend on. */
export function padded(values: Float32Array, length: number): Float32Array<ArrayBuffer> {
  const all = new Float32Array(length).fill(Number.NaN);
  all.set(values);
  return all;
}
