import source from "../../shaders/routing/softmax.wgsl?raw";
import type { ScoreFunction } from "./router.ts";

/** Softmax over all experts of a layer. */
export const softmax: ScoreFunction = {
  name: "softmax",
  source,
  scores(logits) {
    const max = logits.reduce((a, b) => Math.max(a, b));
    const exps = logits.map((logit) => Math.exp(logit - max));
    const sum = exps.reduce((a, b) => a + b);
    return exps.map((exp) => exp / sum);
  },
};
