import type { TokenLogprob } from "../rpc/api.ts";

/** How a token is drawn from logits; see `GenerateOptions`. */
export interface SamplerSettings {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly repetitionWindow: number;
}

/** The settings that change nothing. */
export const PLAIN: SamplerSettings = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  repetitionWindow: 64,
};

/**
 * Draws a token: repetition penalty, then top-k, min-p and top-p on the probabilities at temperature 1, then the
 * temperature, then the draw: tokens share [0, 1) in the order of their ids. Of equal logits the filters keep the lower
 * ids. logits `[vocab]` are not changed. The GPU draws by the same rules (`shaders/sample`) where nobody wants to see the
 * logits.
 * @param recent tokens that the penalty looks at, newest last
 * @param random a number in [0, 1) for the draw
 */
export function sampleToken(
  logits: Float32Array,
  settings: SamplerSettings,
  recent: readonly number[],
  random: () => number,
): number {
  const penalised = penalise(logits, settings, recent);
  if (settings.temperature === 0) return highest(penalised);
  const candidates = keptTokens(penalised, settings);
  return draw(penalised, candidates, settings.temperature, random());
}

/** Divides positive and multiplies negative logits of recent tokens (Keskar et al., CTRL, section 4.1). */
export function penalise(
  logits: Float32Array,
  { repetitionPenalty, repetitionWindow }: SamplerSettings,
  recent: readonly number[],
): Float32Array {
  if (repetitionPenalty === 1 || repetitionWindow === 0) return logits;
  const penalised = logits.slice();
  for (const token of new Set(recent.slice(-repetitionWindow))) {
    const logit = logits[token];
    if (logit === undefined) continue;
    penalised[token] = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty;
  }
  return penalised;
}

/** The ids that may be drawn from logits after any penalty, most probable first; never none. */
export function keptTokens(
  logits: Float32Array,
  { topK, topP, minP }: Pick<SamplerSettings, "topK" | "topP" | "minP">,
): Uint32Array {
  let ids = topK > 0 ? bestOf(logits, topK) : allOf(logits);
  const best = logits[ids[0]!]!;
  if (minP > 0) {
    const least = best + Math.log(minP);
    ids = ids.slice(
      0,
      Math.max(
        1,
        countWhile(ids, (id) => logits[id]! >= least),
      ),
    );
  }
  if (topP < 1) {
    const weights = Float64Array.from(ids, (id) => Math.exp(logits[id]! - best));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    let sum = 0;
    const count = countWhile(weights, (weight) => {
      const wanted = sum < topP * total;
      sum += weight;
      return wanted;
    });
    ids = ids.slice(0, Math.max(1, count));
  }
  return ids;
}

/** All ids, best first. */
function allOf(logits: Float32Array): Uint32Array {
  return Uint32Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
}

/**
 * The ids of the `count` highest logits, best first, the lower id first of equal ones. A vocabulary is long and `count` is
 * small: sorting all of it would take longer than a small model's pass.
 */
function bestOf(logits: Float32Array, count: number): Uint32Array {
  const ids = new Uint32Array(Math.min(count, logits.length));
  let found = 0;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!;
    if (found === ids.length && !(logit > logits[ids[found - 1]!]!)) continue;
    let low = 0;
    for (let high = found; low < high; ) {
      const middle = (low + high) >> 1;
      if (logits[ids[middle]!]! >= logit) low = middle + 1;
      else high = middle;
    }
    if (found < ids.length) found++;
    ids.copyWithin(low + 1, low, found - 1);
    ids[low] = id;
  }
  return ids;
}

function draw(logits: Float32Array, ids: Uint32Array, temperature: number, random: number): number {
  const best = logits[ids[0]!]!;
  const ordered = ids.slice().sort();
  const weights = Float64Array.from(ordered, (id) => Math.exp((logits[id]! - best) / temperature));
  let left = random * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [index, weight] of weights.entries()) {
    left -= weight;
    if (left < 0) return ordered[index]!;
  }
  return ordered[ordered.length - 1]!;
}

function highest(logits: Float32Array): number {
  let token = 0;
  for (let index = 1; index < logits.length; index++) {
    if (logits[index]! > logits[token]!) token = index;
  }
  return token;
}

function countWhile(values: Uint32Array | Float64Array, holds: (value: number) => boolean): number {
  let count = 0;
  while (count < values.length && holds(values[count]!)) count++;
  return count;
}

/** Log-probabilities before any setting: of `token`, and of the `top` most probable ones, best first. */
export function logprobsOf(
  logits: Float32Array,
  token: number,
  top: number,
): TokenLogprob & { readonly top: readonly TokenLogprob[] } {
  const best = logits[highest(logits)]!;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - best);
  const norm = best + Math.log(sum);
  const ids = Array.from(keptTokens(logits, { ...PLAIN, topK: Math.max(1, top) })).slice(0, top);
  return {
    token,
    logprob: logits[token]! - norm,
    top: ids.map((id) => ({ token: id, logprob: logits[id]! - norm })),
  };
}
