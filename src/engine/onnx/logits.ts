/** The token of the highest logit, the lowest id of several; undefined where none is a number. logits `[vocab]` */
export function mostProbable(logits: Float32Array): number | undefined {
  let best: number | undefined;
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token]!;
    if (Number.isNaN(logit)) continue;
    if (best === undefined || logit > logits[best]!) best = token;
  }
  return best;
}

/** The log-probability of a token. logits `[vocab]` */
export function logprobOf(logits: Float32Array, token: number): number {
  const best = logits[mostProbable(logits) ?? 0]!;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - best);
  return logits[token]! - best - Math.log(sum);
}
