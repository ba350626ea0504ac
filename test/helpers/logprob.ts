/** The natural logarithm of a token's probability. */
export function logprobOf(logits: ArrayLike<number>, token: number): number {
  const all = Array.from(logits);
  const highest = all.reduce((a, b) => Math.max(a, b));
  const sum = all.reduce((sum, logit) => sum + Math.exp(logit - highest), 0);
  return all[token]! - highest - Math.log(sum);
}
