/** What `argmax` gives when no logit is a number. */
export const NO_TOKEN = 0xffff_ffff;

/** The first index of the highest logit, NaN left out. */
export function argmaxReference(logits: ArrayLike<number>): number {
  let best = NO_TOKEN;
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token]!;
    if (Number.isNaN(logit)) continue;
    if (best === NO_TOKEN || logit > logits[best]!) best = token;
  }
  return best;
}
