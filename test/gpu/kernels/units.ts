import type { BlockUnit, InputFormat, UnitDevice } from "../../../src/formats/input/format.ts";
import { type Accuracy, accuracies } from "../../../src/formats/input/registry.ts";
import type { BlockReference } from "../../reference/kernels/quantise.ts";
import { f16Blocks } from "../../reference/kernels/quantise_f16.ts";
import { int8Blocks } from "../../reference/kernels/quantise_int8.ts";

const adapter = await navigator.gpu?.requestAdapter();

/** What of all that units may need this browser's device has. */
export const unitDevice: UnitDevice = {
  packedDot: navigator.gpu?.wgslLanguageFeatures?.has("packed_4x8_integer_dot_product") ?? false,
  halves: adapter?.features.has("shader-f16") ?? false,
};

/** What products may read in blocks. */
export type BlockAccuracy = Exclude<Accuracy, "exact">;

const references: Readonly<Record<BlockAccuracy, BlockReference>> = {
  int8: int8Blocks,
  f16: f16Blocks,
};

/** An input in blocks, and how tests make and read it. */
export interface BlocksCase {
  readonly accuracy: BlockAccuracy;
  readonly input: InputFormat;
  readonly reference: BlockReference;
}

/** Every format of inputs. */
export const blocksCases: readonly BlocksCase[] = (Object.keys(references) as BlockAccuracy[]).map(
  (accuracy) => ({
    accuracy,
    input: accuracies[accuracy],
    reference: references[accuracy],
  }),
);

/** A way to multiply blocks. */
export interface UnitCase extends BlocksCase {
  /** `integers of int8` */
  readonly units: string;
  readonly unit: BlockUnit;
}

const allUnits: readonly UnitCase[] = blocksCases.flatMap((blocks) =>
  Object.entries(blocks.input.units).map(([name, unit]) => ({
    ...blocks,
    units: `${name} of ${blocks.accuracy}`,
    unit,
  })),
);

/** Every unit, and whether this browser's device lacks what it needs. */
export const unitNeeds = allUnits.map(({ units, unit: { needs } }) => ({
  units,
  lacks: needs !== undefined && !unitDevice[needs] ? needs : undefined,
}));

/** Every unit that this browser's device can multiply by. */
export const unitCases = allUnits.filter((_, index) => unitNeeds[index]!.lacks === undefined);

/** Of the adapters of the tests, Firefox's has everything that units need: there, nothing may be left out. */
export const hasAllUnits = navigator.userAgent.includes("Firefox");
