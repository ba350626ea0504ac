import { type ScoreFunctionName, scoreFunctions } from "./registry.ts";

/** What a layer's router does with its logits. A `MoeSpec` is one. */
export interface RoutingRule {
  readonly score: ScoreFunctionName;
  readonly topK: number;
  /** Divides the chosen scores by `max(their sum, MIN_SCORE_SUM)`. */
  readonly renormalise: boolean;
  /** Multiplies the weights after that. */
  readonly scale: number;
}

/** Least divisor of renormalisation: f16's smallest normal number, as in llama.cpp's `build_moe_ffn`. */
export const MIN_SCORE_SUM = 2 ** -14;

/**
 * The experts of one token, best first, and their weights, in f64. Experts are ranked by logit (scores grow with it);
 * ties go to the lower index. logits `[experts]`
 */
export function chooseExperts(
  logits: Float64Array,
  rule: RoutingRule,
): { readonly experts: readonly number[]; readonly weights: readonly number[] } {
  const experts = Array.from(logits.keys())
    .sort((a, b) => logits[b]! - logits[a]! || a - b)
    .slice(0, rule.topK);
  const scores = scoreFunctions[rule.score].scores(logits);
  const chosen = experts.map((expert) => scores[expert]!);
  const sum = chosen.reduce((a, b) => a + b, 0);
  const divisor = rule.renormalise ? Math.max(sum, MIN_SCORE_SUM) : 1;
  return { experts, weights: chosen.map((score) => (score / divisor) * rule.scale) };
}
