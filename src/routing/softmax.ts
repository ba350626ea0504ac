import source from "../../shaders/routing/softmax.wgsl?raw";
import byScore from "../../shaders/routing/weigh/by_score.wgsl?raw";
import type { ScoreFunction } from "./router.ts";

/** Softmax over all experts of a layer. */
export const softmax: ScoreFunction = {
  name: "softmax",
  parts: [source, byScore],
  growsWithLogit: true,
  scores: (logits) => Float64Array.from(softmaxOf([...logits])),
};

/** `exp(x) / Σ exp(x)`, for numbers of any size. */
export function softmaxOf(values: readonly number[]): number[] {
  const max = values.reduce((a, b) => Math.max(a, b));
  const exps = values.map((value) => Math.exp(value - max));
  const sum = exps.reduce((a, b) => a + b);
  return exps.map((exp) => exp / sum);
}
