import { SluiceError } from "../errors.ts";
import type { ExpertCache } from "../experts/expert-cache.ts";
import { TraceRecorder } from "../experts/trace.ts";
import { createRandom } from "../numeric/random.ts";
import type { FinishReason, GenerateResult, TokenChunk } from "../rpc/api.ts";
import type { TextTokenizer } from "../tokenizer/tokenizer.ts";
import type { History } from "./history.ts";
import type { LoadedModel } from "./model.ts";
import type { PassResult } from "./pass.ts";
import { isGreedy, logprobsOf, sampleToken } from "./sampler.ts";
import type { GenerateSettings } from "./settings.ts";
import { StopTexts } from "./stop.ts";

/** What a reply is made with; all of it is the engine's. */
export interface ReplyParts {
  readonly model: LoadedModel;
  readonly tokenizer: TextTokenizer;
  readonly history: History;
  readonly settings: GenerateSettings;
  readonly promptTokens: readonly number[];
  readonly signal: AbortSignal | undefined;
  /** Runs a pass while no budget is being changed. */
  readonly exclusive: (pass: () => Promise<PassResult>) => Promise<PassResult>;
  readonly onPrefilled: () => void;
  readonly onToken: () => void;
}

/** A result without its stats, which the engine adds. */
export type ReplyResult = Omit<GenerateResult, "stats">;

/**
 * Computes the prompt, then token after token until something ends the reply.
 * Throws what a pass throws; the conversation computed so far is kept then.
 */
export async function* reply(parts: ReplyParts): AsyncGenerator<TokenChunk, ReplyResult> {
  const { model, tokenizer, settings, promptTokens } = parts;
  const wantLogits = !isGreedy(settings.sampler) || settings.topLogprobs !== undefined;
  const random = createRandom(settings.seed);
  const decoder = tokenizer.streamDecoder();
  const stops = new StopTexts(settings.stop);
  const recorder = settings.trace ? createTrace(model) : undefined;
  const tokens: number[] = [];
  let text = "";

  const end = (finishReason: FinishReason): ReplyResult => ({
    promptTokens,
    tokens,
    text,
    finishReason,
    seed: settings.seed,
    ...(recorder && { trace: recorder.trace() }),
  });

  const prompted = await prefill(parts, wantLogits, recorder);
  if (!prompted) return end("aborted");
  let pass: PassResult = prompted;
  parts.onPrefilled();

  const limit = Math.min(settings.maxTokens, model.contextTokens - promptTokens.length);
  for (;;) {
    const token = pass.logits
      ? sampleToken(pass.logits, settings.sampler, [...promptTokens, ...tokens], () =>
          random.uniform(),
        )
      : pass.next;
    if (tokenizer.endTokens.has(token)) {
      const rest = stops.push(decoder.flush()).text + stops.flush();
      text += rest;
      if (rest) yield { tokens: [], text: rest };
      return end("stop");
    }
    tokens.push(token);
    const ended = tokens.length >= limit;
    const piece = stops.push(decoder.push(token) + (ended ? decoder.flush() : ""));
    const shown = piece.text + (ended && !piece.stopped ? stops.flush() : "");
    text += shown;
    parts.onToken();
    yield {
      tokens: [token],
      text: shown,
      ...(pass.logits &&
        settings.topLogprobs !== undefined && {
          logprobs: [spelled(logprobsOf(pass.logits, token, settings.topLogprobs), tokenizer)],
        }),
    };
    if (piece.stopped) return end("stop");
    if (ended) return end("length");
    if (parts.signal?.aborted) return end("aborted");
    const next = await runPass(parts, [token], wantLogits, recorder);
    if (!next) return end("aborted");
    pass = next;
  }
}

/** Computes the prompt in chunks, leaving out what the KV cache already holds; undefined when aborted. */
async function prefill(
  parts: ReplyParts,
  wantLogits: boolean,
  recorder: TraceRecorder | undefined,
): Promise<PassResult | undefined> {
  const { promptTokens, history, model } = parts;
  let position = history.reuse(promptTokens);
  for (;;) {
    const chunk = promptTokens.slice(position, position + model.chunkTokens);
    position += chunk.length;
    const last = position === promptTokens.length;
    const pass = await runPass(parts, chunk, wantLogits && last, recorder);
    if (!pass || last) return pass;
  }
}

/** One pass at the end of the history; undefined when it was aborted. */
async function runPass(
  parts: ReplyParts,
  tokens: readonly number[],
  logits: boolean,
  recorder: TraceRecorder | undefined,
): Promise<PassResult | undefined> {
  const { model, history, signal } = parts;
  if (signal?.aborted) return undefined;
  try {
    const position = history.length;
    const pass = await history.compute(tokens, () =>
      parts.exclusive(() => model.pass(tokens, position, { logits, signal })),
    );
    recorder?.record(tokens, pass.ids);
    return pass;
  } catch (error) {
    if (error instanceof SluiceError && error.code === "aborted") return undefined;
    throw error;
  }
}

/** Adds the tokens' texts; bytes that make no character alone become U+FFFD. */
function spelled(
  { top, ...chosen }: ReturnType<typeof logprobsOf>,
  tokenizer: TextTokenizer,
): NonNullable<TokenChunk["logprobs"]>[number] {
  const utf8 = new TextDecoder();
  const withText = <Entry extends { token: number }>(entry: Entry) => ({
    ...entry,
    text: utf8.decode(tokenizer.tokenText(entry.token)),
  });
  return { ...withText(chosen), top: top.map(withText) };
}

function createTrace({ spec, cache, needs }: LoadedModel): TraceRecorder {
  const first = spec.moe[0];
  const filled = wasFilled(cache);
  return new TraceRecorder({
    topK: first?.topK ?? 0,
    experts: first?.experts ?? 0,
    layers: spec.moe.map(({ layer }) => layer),
    pools: spec.moe.map(({ pool }) => pool),
    recordBytes: needs.recordBytes,
    ...(first && { routerInput: first.routerInput }),
    ...(filled !== undefined && { filled }),
  });
}

/** Whether all slots are filled, or none is; undefined in between and once a reply has used the cache. */
function wasFilled(cache: ExpertCache): boolean | undefined {
  const { hits, misses } = cache.counters;
  if (hits + misses > 0) return undefined;
  if (cache.readyCount === 0) return false;
  const pools = Array.from({ length: cache.pools }, (_, pool) => pool);
  return pools.every((pool) => cache.ready(pool).length === cache.slotCount(pool))
    ? true
    : undefined;
}
