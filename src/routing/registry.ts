import type { ScoreFunction } from "./router.ts";
import { sigmoid } from "./sigmoid.ts";
import { softmax } from "./softmax.ts";
import { softmaxAfterTopK } from "./softmax-after-top-k.ts";
import { sparsemixer } from "./sparsemixer.ts";
import { sqrtSoftplus } from "./sqrt-softplus.ts";

/** Every score function, by name. To add one: write its two files and name it here. */
export const scoreFunctions = {
  softmax,
  sigmoid,
  "sqrt-softplus": sqrtSoftplus,
  "softmax-after-top-k": softmaxAfterTopK,
  sparsemixer,
} as const satisfies Record<string, ScoreFunction>;

/** The name of a score function. */
export type ScoreFunctionName = keyof typeof scoreFunctions;
