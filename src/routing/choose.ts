import { type ScoreFunctionName, scoreFunctions } from "./registry.ts";
import type { ScoreFunction } from "./router.ts";

/** What a layer's router does with its logits. A `MoeSpec` is one. */
export interface RoutingRule {
  readonly score: ScoreFunctionName;
  readonly topK: number;
  /** Divides the chosen scores by `max(their sum, MIN_SCORE_SUM)`. */
  readonly renormalise: boolean;
  /** Multiplies the weights after that. */
  readonly scale: number;
  /** Only experts of the best `keep` of `count` groups of neighbours are chosen. */
  readonly groups?: ExpertGroups;
}

/** Experts in `count` runs of equal length, of which the `keep` best are chosen from. */
export interface ExpertGroups {
  readonly count: number;
  readonly keep: number;
}

/** What a router knows of each expert beside its row of the matrix. Each `[experts]`. */
export interface ExpertVectors {
  /** Added to the score for the choice alone: weights come from the score without it. */
  readonly selectionBias?: ArrayLike<number> | undefined;
  /** Multiplies the weight of each chosen expert. */
  readonly scale?: ArrayLike<number> | undefined;
}

/** Least divisor of renormalisation: f16's smallest normal number, as in llama.cpp's `build_moe_ffn`. */
export const MIN_SCORE_SUM = 2 ** -14;

/** Best experts of a group whose keys add up to the group's. */
const GROUP_BEST = 2;

/**
 * The experts of one token, best first, and their weights, in f64; ties go to the lower index. logits `[experts]`, the
 * router's bias included.
 */
export function chooseExperts(
  logits: Float64Array,
  rule: RoutingRule,
  vectors: ExpertVectors = {},
): { readonly experts: readonly number[]; readonly weights: readonly number[] } {
  const score: ScoreFunction = scoreFunctions[rule.score];
  const scores = score.scores(logits);
  const keys = rankingKeys(logits, scores, rule, vectors);
  const experts = Array.from(keys.keys())
    .sort((a, b) => keys[b]! - keys[a]! || a - b)
    .slice(0, rule.topK);
  const chosen = experts.map((expert) => scores[expert]!);
  const weights = score.weigh?.(chosen) ?? renormalised(chosen, rule.renormalise);
  const scale = (expert: number) => rule.scale * (vectors.scale?.[expert] ?? 1);
  return { experts, weights: weights.map((weight, i) => weight * scale(experts[i]!)) };
}

/**
 * What experts are ranked by. Without a selection bias or groups that is the logit, which tells apart what a score in
 * f32 cannot. With them it is score plus bias, rounded to f32 as on the GPU and in llama.cpp: scores that round to the
 * same number are equal. `[experts]`; those of groups that are not kept have -Infinity.
 */
export function rankingKeys(
  logits: Float64Array,
  scores: Float64Array,
  { groups }: Pick<RoutingRule, "groups">,
  { selectionBias }: ExpertVectors,
): Float64Array {
  if (!ranksByScore({ groups, selectionBias })) return logits;
  const keys = scores.map((score, expert) =>
    Math.fround(Math.fround(score) + (selectionBias?.[expert] ?? 0)),
  );
  return groups ? withinGroups(keys, groups) : keys;
}

/** Whether experts are ranked by score and not by logit. */
export function ranksByScore(rule: {
  readonly groups?: ExpertGroups | undefined;
  readonly selectionBias?: unknown;
}): boolean {
  return rule.groups !== undefined || rule.selectionBias !== undefined;
}

/** The keys, but -Infinity for experts of groups that are not kept. A group is worth its two best keys together. */
function withinGroups(keys: Float64Array, { count, keep }: ExpertGroups): Float64Array {
  const size = keys.length / count;
  const worth = Array.from({ length: count }, (_, group) => {
    const best = keys
      .slice(group * size, (group + 1) * size)
      .sort()
      .slice(-GROUP_BEST);
    return Math.fround(best.reduce((a, b) => a + b, 0));
  });
  const order = worth.map((_, group) => group).sort((a, b) => worth[b]! - worth[a]! || a - b);
  const kept = new Set(order.slice(0, keep));
  return keys.map((key, expert) =>
    kept.has(Math.floor(expert / size)) ? key : Number.NEGATIVE_INFINITY,
  );
}

function renormalised(scores: readonly number[], renormalise: boolean): number[] {
  const sum = scores.reduce((a, b) => a + b, 0);
  const divisor = renormalise ? Math.max(sum, MIN_SCORE_SUM) : 1;
  return scores.map((score) => score / divisor);
}
