import { NO_VECTOR } from "../../../src/kernels/matvec.ts";
import { inputParts } from "../../../src/kernels/parts.ts";
import type { Random } from "../../../src/numeric/random.ts";
import type { InputNorm } from "../../reference/kernels/product.ts";
import { randomInput } from "./cases.ts";

/** What products read: their input, or the norm of it. */
export type InputName = keyof typeof inputParts;
export const inputNames = Object.keys(inputParts) as InputName[];

/** A norm of random weights, if `input` takes one. */
export function randomNorm(
  random: Random,
  input: InputName,
  cols: number,
): (InputNorm & { readonly weight: Float32Array<ArrayBuffer> }) | undefined {
  if (input === "plain") return undefined;
  return { weight: randomInput(random, cols), epsilon: 1e-5 };
}

/** Numbers before each vector behind the norm's, which no kernel reads: it may start anywhere. */
const GAP = 1;

/** A kernel's `vectors`: the norm's weights, if any, then those of `others` that are there, and where each starts. */
export function packVectors(
  norm: InputNorm | undefined,
  others: readonly (Float32Array | undefined)[],
): { readonly content: Float32Array<ArrayBuffer>; readonly starts: readonly number[] } {
  const numbers = Array.from(norm?.weight ?? []);
  const starts = others.map((vector) => {
    if (!vector) return NO_VECTOR;
    numbers.push(...new Array<number>(GAP).fill(Number.NaN));
    const start = numbers.length;
    numbers.push(...vector);
    return start;
  });
  return { content: Float32Array.from(numbers), starts };
}
