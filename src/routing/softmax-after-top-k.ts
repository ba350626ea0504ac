import source from "../../shaders/routing/logit.wgsl?raw";
import ofChosen from "../../shaders/routing/weigh/softmax_of_chosen.wgsl?raw";
import type { ScoreFunction } from "./router.ts";
import { softmaxOf } from "./softmax.ts";

/** Experts are ranked by the logits themselves; softmax over the chosen ones. Source: gpt-oss. */
export const softmaxAfterTopK: ScoreFunction = {
  name: "softmax-after-top-k",
  parts: [source, ofChosen],
  growsWithLogit: true,
  scores: (logits) => logits,
  weigh: (scores) => softmaxOf(scores),
};
