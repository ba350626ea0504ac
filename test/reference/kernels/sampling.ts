/** Settings of a draw, as the kernels take them. */
export interface DrawSettings {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
}

/** Tokens of one place are kept or left out together: steps of a gap, and the last place. */
const STEPS = 2 ** 15;
const LAST_PLACE = 2 ** 20 - 1;

/**
 * Masses are sums of f32 values of `exp`, whose error WGSL bounds by 3 + 2 |x| units in the last place, of which those
 * beyond a gap of 16 weigh less than 2^-23: (3 + 32) units. The sums of up to 2^12 such values and of their tables add at
 * most 2^12 + 2^7 roundings.
 */
export const MASS_ERROR = (35 + 2 ** 12 + 2 ** 7) * 2 ** -24;

/** What may be drawn, as far as rounding decides nothing: cutoffs `[least, most]` are places. */
export function cutoffsReference(
  logits: Float32Array,
  { topK, topP, minP }: DrawSettings,
): readonly [least: number, most: number] {
  const tokens = gapsReference(logits, minP).sort((a, b) => a.gap - b.gap);
  const limits = topK > 0 && topK < logits.length;
  const kth = limits ? tokens[Math.min(topK, tokens.length) - 1]!.place : LAST_PLACE;
  const kept = tokens.filter(({ place }) => place <= kth);
  if (topP >= 1) return [kth, kth];
  const total = kept.reduce((sum, { gap }) => sum + Math.exp(-gap), 0);
  const reach = (target: number) => {
    let sum = 0;
    for (const { gap, place } of kept) {
      sum += Math.exp(-gap);
      if (sum >= target) return place;
    }
    return kept.at(-1)!.place;
  };
  const slack = MASS_ERROR * total;
  return [reach(topP * total - slack), reach(topP * total + slack)];
}

/** Gap and place of each token that min-p lets through. */
export function gapsReference(logits: Float32Array, minP: number) {
  const best = logits.reduce((a, b) => Math.max(a, b));
  const widest = minP > 0 ? Math.fround(-Math.log(minP)) : Infinity;
  return [...logits].flatMap((logit, token) => {
    const gap = Math.fround(best - logit);
    const place = Math.min(LAST_PLACE, Math.floor(gap * STEPS));
    return gap <= widest ? [{ token, gap, place }] : [];
  });
}

/** The share of [0, 1) that belongs to each token with a place up to `cutoff`, in the order of ids. */
export function sharesReference(
  logits: Float32Array,
  { temperature, minP }: DrawSettings,
  cutoff: number,
): Map<number, readonly [from: number, to: number]> {
  const kept = gapsReference(logits, minP).filter(({ place }) => place <= cutoff);
  const weights = kept.map(({ gap }) => Math.exp(-gap / temperature));
  const total = weights.reduce((a, b) => a + b, 0);
  const shares = new Map<number, readonly [number, number]>();
  let sum = 0;
  for (const [index, { token }] of kept.entries()) {
    const from = sum / total;
    sum += weights[index]!;
    shares.set(token, [from, sum / total]);
  }
  return shares;
}
