import type { ModelSpec } from "../models/model.ts";

/** How many tokens a pass over a prompt may have: powers of two. */
const SIZES = { least: 8, usual: 32, most: 512 };

/** Scratch of a pass takes at most this share of what the weights take at 4 bits each, or 32 tokens' worth. */
const SCRATCH_SHARE = 1 / 8;
const LEAST_BYTES_PER_WEIGHT = 0.5;

/** Activations of a layer beside its experts', in rows of the hidden size: scratch buffers share memory over time. */
const HIDDEN_ROWS = 8;

/** A dispatch should end within so many milliseconds: drivers reset a device that does not answer, and pages stutter. */
const DISPATCH_MS = 200;

/**
 * Multiply-adds a millisecond that are counted on, for the bound above. SwiftShader does 1e6 and more on two cores
 * (`docs/measurements.md`); integrated GPUs do 1e8.
 */
const MACS_PER_MS = { software: 5e5, hardware: 1e8 };

/**
 * The tokens of a prompt that one pass is recorded for. Only the model says, so that it can be planned from a header,
 * and the same prompt is cut alike at every budget: weights are read once for so many tokens, but scratch must not
 * crowd out experts.
 */
export function plannedChunk(spec: Pick<ModelSpec, "resident" | "stacked" | "moe" | "hidden">) {
  const weights = [...spec.resident, ...spec.stacked].reduce(
    (sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1),
    0,
  );
  const perPair = Math.max(0, ...spec.moe.map(({ topK, hidden, ffn }) => topK * (hidden + ffn)));
  const bytesPerToken = 4 * (perPair + HIDDEN_ROWS * spec.hidden);
  const fitting = (SCRATCH_SHARE * LEAST_BYTES_PER_WEIGHT * weights) / bytesPerToken;
  return powerWithin(fitting, SIZES.usual);
}

/** The tokens of a prompt that one pass computes: fewer than planned where a dispatch over all would take too long. */
export function usedChunk(spec: ModelSpec, software: boolean): number {
  const macs = MACS_PER_MS[software ? "software" : "hardware"];
  const fitting = (DISPATCH_MS * macs) / Math.max(1, largestProduct(spec));
  return Math.min(plannedChunk(spec), powerWithin(fitting, SIZES.least));
}

/** Multiply-adds of one token in the largest dispatch: a matrix that every token needs, or its experts' gate and up. */
function largestProduct({ resident, moe, hidden, vocab }: ModelSpec): number {
  // The head and the embedding are read for one row of a pass.
  const isOfVocab = (shape: readonly number[]) => shape.includes(vocab) && shape.includes(hidden);
  const matrices = resident
    .filter(({ shape }) => shape.length > 1 && !isOfVocab(shape))
    .map(({ shape }) => shape.reduce((a, b) => a * b, 1));
  const experts = moe.map(({ topK, hidden, ffn }) => 2 * topK * hidden * ffn);
  return Math.max(0, ...matrices, ...experts);
}

/** The largest power of two up to `fitting`, but at least `least` and at most 512. */
function powerWithin(fitting: number, least: number): number {
  let size = least;
  while (2 * size <= Math.min(fitting, SIZES.most)) size *= 2;
  return size;
}
