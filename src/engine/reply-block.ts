import { seedWords } from "../numeric/random.ts";
import type { ChooserName } from "../ops/program.ts";
import { PLAIN, type SamplerSettings } from "./sampler.ts";

/** Most end tokens that the GPU looks for; what is behind another one is computed in vain, and not given out. */
const MOST_END_TOKENS = 64;

/** Words before the end tokens. */
const HEADER_WORDS = 9;

/** Bytes of the reply block. */
export const REPLY_BLOCK_BYTES = 4 * (HEADER_WORDS + MOST_END_TOKENS);

/** A gap that no two numbers have. */
const ANY_GAP = (2 - 2 ** -23) * 2 ** 127;

/** Longer windows than this hold every token. */
const MOST_WINDOW = 2 ** 30;

/** What a reply's tokens are chosen by on the GPU. */
export interface ReplyBlock {
  readonly endTokens: Iterable<number>;
  readonly sampler: SamplerSettings;
  readonly seed: number;
  readonly vocab: number;
}

/** The bytes of `struct Reply` in `shaders/sample/reply.wgsl`. */
export function encodeReplyBlock({
  endTokens,
  sampler,
  seed,
  vocab,
}: ReplyBlock): Uint32Array<ArrayBuffer> {
  const ends = [...endTokens].slice(0, MOST_END_TOKENS);
  const { low, high } = seedWords(seed);
  const block = new Uint32Array(HEADER_WORDS + ends.length);
  const floats = new Float32Array(block.buffer);
  block[0] = ends.length;
  floats[1] = draws(sampler) ? sampler.temperature : 0;
  block[2] = limitsTopK(sampler, vocab) ? sampler.topK : 0;
  floats[3] = sampler.topP;
  floats[4] = sampler.minP > 0 ? -Math.log(sampler.minP) : ANY_GAP;
  floats[5] = penalises(sampler) ? sampler.repetitionPenalty : 1;
  block[6] = Math.min(MOST_WINDOW, sampler.repetitionWindow);
  block[7] = low;
  block[8] = high;
  block.set(ends, HEADER_WORDS);
  return block;
}

/** Which of a program's choosers follows the settings. */
export function chooserOf(sampler: SamplerSettings, vocab: number): ChooserName {
  if (!draws(sampler)) return penalises(sampler) ? "penalised" : "top";
  const topK = limitsTopK(sampler, vocab);
  if (sampler.topP < 1) return topK ? "drawnTopKP" : "drawnTopP";
  return topK ? "drawnTopK" : "drawn";
}

/** `[vocab]`: 1 + the last index of each token, 0 for those that are not there; undefined where no penalty looks at it. */
export function seenTokens(
  sampler: SamplerSettings,
  tokens: readonly number[],
  vocab: number,
): Uint32Array<ArrayBuffer> | undefined {
  if (!penalises(sampler)) return undefined;
  const seen = new Uint32Array(vocab);
  for (const [index, token] of tokens.entries()) seen[token] = index + 1;
  return seen;
}

/** Of one token there is nothing to draw. */
function draws({ temperature, topK }: SamplerSettings): boolean {
  return temperature > 0 && topK !== 1;
}

function penalises({ repetitionPenalty, repetitionWindow }: SamplerSettings): boolean {
  return repetitionPenalty !== PLAIN.repetitionPenalty && repetitionWindow > 0;
}

function limitsTopK({ topK }: SamplerSettings, vocab: number): boolean {
  return topK > 0 && topK < vocab;
}
