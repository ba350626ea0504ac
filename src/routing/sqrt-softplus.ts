import source from "../../shaders/routing/sqrt_softplus.wgsl?raw";
import byScore from "../../shaders/routing/weigh/by_score.wgsl?raw";
import type { ScoreFunction } from "./router.ts";

/** `sqrt(log(1 + exp(logit)))` of each logit by itself. Source: DeepSeek-V4; llama.cpp's gating function 4. */
export const sqrtSoftplus: ScoreFunction = {
  name: "sqrt-softplus",
  parts: [source, byScore],
  growsWithLogit: true,
  scores: (logits) =>
    // log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)), where nothing overflows.
    logits.map((x) => Math.sqrt(Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))))),
};
