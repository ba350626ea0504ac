import source from "../../shaders/routing/sparsemixer.wgsl?raw";
import byScore from "../../shaders/routing/weigh/by_score.wgsl?raw";
import type { ScoreFunction } from "./router.ts";

/** An expert counts as a rival of the best one if its logit is no further below, as a share of the larger of the two. */
const MAX_SHORTFALL = 0.02;

/**
 * SparseMixer as Phi's MoE models use it to infer: experts are chosen one after another, each by itself the best of
 * those that are left, and weigh by the softmax over the rivals among them. So the weights do not add up to 1.
 * Source: arXiv 2409.12136; `sparsemixer` of Phi-3.5-MoE's own code, whose jitter of 0.01 leaves 2 * 0.01 here.
 */
export const sparsemixer: ScoreFunction = {
  name: "sparsemixer",
  parts: [source, byScore],
  growsWithLogit: false,
  scores: (logits) =>
    logits.map((own, expert) => {
      let sum = 0;
      for (const [other, logit] of logits.entries()) {
        const wasChosen = logit > own || (logit === own && other < expert);
        if (wasChosen || own - logit > MAX_SHORTFALL * Math.max(Math.abs(logit), own)) continue;
        sum += Math.exp(logit - own);
      }
      return 1 / sum;
    }),
};
