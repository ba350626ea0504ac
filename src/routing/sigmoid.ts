import source from "../../shaders/routing/sigmoid.wgsl?raw";
import byScore from "../../shaders/routing/weigh/by_score.wgsl?raw";
import type { ScoreFunction } from "./router.ts";

/** The logistic function of each logit by itself. */
export const sigmoid: ScoreFunction = {
  name: "sigmoid",
  parts: [source, byScore],
  growsWithLogit: true,
  scores: (logits) => logits.map((logit) => 1 / (1 + Math.exp(-logit))),
};
