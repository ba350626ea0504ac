import { f16ToF32, f32ToF16Up } from "../numeric/f16.ts";

/*
 * How `encode` chooses scales and quants. gguf-py has quantisers for the formats without groups; these follow them to
 * the bit, in f32 where they compute in f32.
 */

/** One scale and no min: `weight = (quant - zero) * scale`, quants from 0 to `2 * zero - 1`. */
export function fitFarthest(
  values: Float32Array,
  zero: number,
): { readonly scale: number; readonly quants: Uint8Array } {
  // The weight farthest from 0 becomes quant 0, which is -zero scales.
  const farthest = values.reduce(
    (far, value) => (Math.abs(value) > Math.abs(far) ? value : far),
    0,
  );
  const scale = farthest / -zero;
  const perScale = inverse(scale);
  const quants = quantsOf(values, (value) =>
    Math.min(2 * zero - 1, Math.fround(Math.fround(value * perScale) + zero + 0.5)),
  );
  return { scale, quants };
}

/** One scale and one min: `weight = quant * scale + min`, quants from 0 to `maxQuant`. */
export function fitRange(
  values: Float32Array,
  maxQuant: number,
): { readonly scale: number; readonly min: number; readonly quants: Uint8Array } {
  const min = Math.min(...values);
  const scale = Math.fround(Math.fround(Math.max(...values) - min) / maxQuant);
  const perScale = inverse(scale);
  const quants = quantsOf(values, (value) => {
    const steps = Math.fround(Math.fround(value - min) * perScale);
    return Math.min(maxQuant, Math.fround(steps + 0.5));
  });
  return { scale, min, quants };
}

/** One scale: `weight = (quant - 1) * scale`, quants 0, 1 and 2. */
export function fitTernary(values: Float32Array): {
  readonly scale: number;
  readonly quants: Uint8Array;
} {
  const scale = Math.max(...values.map(Math.abs));
  const perScale = inverse(scale);
  const quants = quantsOf(values, (value) => 1 + roundHalfAway(Math.fround(value * perScale)));
  return { scale, quants };
}

/** Scales of groups as multiples of a block's: `step[group] = d * multiples[group]`. */
export interface GroupScales {
  /** The bits of `d`, f16. */
  readonly dBits: number;
  readonly multiples: readonly number[];
  readonly steps: readonly number[];
}

/** The least `d` and multiples, at most `maxMultiple`, whose products reach `wanted`, which is not negative. */
export function fitMultiples(wanted: readonly number[], maxMultiple: number): GroupScales {
  const dBits = f32ToF16Up(Math.max(...wanted) / maxMultiple);
  const d = f16ToF32(dBits);
  const multiples = wanted.map((value) =>
    d === 0 ? 0 : Math.min(maxMultiple, Math.ceil(value / d)),
  );
  return { dBits, multiples, steps: multiples.map((multiple) => d * multiple) };
}

/** A scale for each group: rounded up, so that `maxQuant` steps on either side of 0 cover the group's weights. */
export function fitSymmetric(
  groups: readonly Float32Array[],
  maxQuant: number,
  maxMultiple: number,
): GroupScales & { quantOf(group: number, value: number): number } {
  const tops = groups.map((group) => Math.max(...group.map(Math.abs)) / maxQuant);
  const scales = fitMultiples(tops, maxMultiple);
  const quantOf = (group: number, value: number) => {
    const step = scales.steps[group]!;
    return step === 0 ? 0 : clamp(Math.round(value / step), -maxQuant, maxQuant);
  };
  return { ...scales, quantOf };
}

/** A scale and a min for each group: rounded away from 0, so that `maxQuant` steps up from -min cover its weights. */
export function fitAffine(
  groups: readonly Float32Array[],
  maxQuant: number,
  maxMultiple: number,
): {
  readonly scales: GroupScales;
  readonly mins: GroupScales;
  quantOf(group: number, value: number): number;
} {
  const depths = groups.map((group) => Math.max(0, -Math.min(...group)));
  const mins = fitMultiples(depths, maxMultiple);
  const spans = groups.map((group, i) => Math.max(0, Math.max(...group) + mins.steps[i]!));
  const scales = fitMultiples(
    spans.map((span) => span / maxQuant),
    maxMultiple,
  );
  const quantOf = (group: number, value: number) => {
    const step = scales.steps[group]!;
    return step === 0 ? 0 : clamp(Math.round((value + mins.steps[group]!) / step), 0, maxQuant);
  };
  return { scales, mins, quantOf };
}

/** `values` in groups of `groupWeights`. */
export function groupsOf(values: Float32Array, groupWeights: number): Float32Array[] {
  return Array.from({ length: values.length / groupWeights }, (_, group) =>
    values.subarray(group * groupWeights, (group + 1) * groupWeights),
  );
}

/** C's `roundf`: `Math.round` takes -0.5 up. */
export function roundHalfAway(value: number): number {
  return Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
}

/** In f32; of 0, 0. */
export function inverse(scale: number): number {
  return scale === 0 ? 0 : Math.fround(1 / scale);
}

/** What `quantOf` gives, cut off to whole numbers; `Uint8Array.from` takes many times as long. */
function quantsOf(values: Float32Array, quantOf: (value: number) => number): Uint8Array {
  const quants = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) quants[i] = quantOf(values[i]!);
  return quants;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
