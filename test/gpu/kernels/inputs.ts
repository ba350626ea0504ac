import { NO_VECTOR } from "../../../src/kernels/matvec.ts";
import { inputParts, tileInputParts } from "../../../src/kernels/parts.ts";
import type { Random } from "../../../src/numeric/random.ts";
import type { InputNorm } from "../../reference/kernels/product.ts";
import { randomInput } from "./cases.ts";

/** What products read: their input, or the norm of it. */
export type InputName = keyof typeof inputParts;
export const inputNames = Object.keys(inputParts) as InputName[];
/** The same of kernels whose workgroups have several tokens. */
export const tileInputNames = Object.keys(tileInputParts) as (keyof typeof tileInputParts)[];

/** A norm's parts as a kernel's `vectors` hold them. */
export type RandomNorm = InputNorm & {
  readonly weight: Float32Array<ArrayBuffer>;
  readonly bias?: Float32Array<ArrayBuffer>;
};

/** A norm of random weights, if `input` takes one. */
export function randomNorm(random: Random, input: InputName, cols: number): RandomNorm | undefined {
  if (input === "plain") return undefined;
  const norm = { weight: randomInput(random, cols), epsilon: 1e-5 };
  if (input === "normed") return norm;
  return { ...norm, bias: randomInput(random, cols), centred: input === "layerNormed" };
}

/** What a product reads that takes `norm`. */
export function inputOf(norm: InputNorm | undefined): InputName {
  if (!norm) return "plain";
  if (!norm.bias) return "normed";
  return norm.centred ? "layerNormed" : "uncentred";
}

/** The vectors of a norm, one behind another. */
export function normVectors(norm: InputNorm | undefined): number[] {
  return [...Array.from(norm?.weight ?? []), ...Array.from(norm?.bias ?? [])];
}

/** Numbers before each vector behind the norm's, which no kernel reads: it may start anywhere. */
const GAP = 1;

/** A kernel's `vectors`: those of the norm, if any, then those of `others` that are there, and where each starts. */
export function packVectors(
  norm: InputNorm | undefined,
  others: readonly (Float32Array | undefined)[],
): { readonly content: Float32Array<ArrayBuffer>; readonly starts: readonly number[] } {
  const numbers = normVectors(norm);
  const starts = others.map((vector) => {
    if (!vector) return NO_VECTOR;
    numbers.push(...new Array<number>(GAP).fill(Number.NaN));
    const start = numbers.length;
    numbers.push(...vector);
    return start;
  });
  return { content: Float32Array.from(numbers), starts };
}
