import { SluiceError } from "../errors.ts";
import type { ExpertCache } from "../experts/expert-cache.ts";
import { TraceRecorder } from "../experts/trace.ts";
import { ownMoe } from "../models/model.ts";
import { createRandom } from "../numeric/random.ts";
import type { FinishReason, GenerateResult, TokenChunk } from "../rpc/api.ts";
import type { TextTokenizer } from "../tokenizer/tokenizer.ts";
import type { History } from "./history.ts";
import type { LoadedModel } from "./model.ts";
import { NOTHING, type PassOptions, type PassResult } from "./pass.ts";
import { CHUNK_TOKENS } from "./programs.ts";
import { isGreedy, logprobsOf, sampleToken } from "./sampler.ts";
import type { GenerateSettings } from "./settings.ts";
import { Drafting, type NextToken, type VerifiedPass } from "./speculation/drafting.ts";
import type { SpeculationChoice } from "./speculation/speculation.ts";
import { StopTexts } from "./stop.ts";

/** What a reply is made with; all of it is the engine's. */
export interface ReplyParts {
  readonly model: LoadedModel;
  readonly tokenizer: TextTokenizer;
  readonly history: History;
  readonly settings: GenerateSettings;
  /** How the tokens are drafted. */
  readonly speculation: SpeculationChoice;
  readonly promptTokens: readonly number[];
  readonly signal: AbortSignal | undefined;
  /** Runs a pass while no budget is being changed. */
  readonly exclusive: <Result>(pass: () => Promise<Result>) => Promise<Result>;
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
  parts.onPrefilled();
  const source = createSource(parts, prompted, wantLogits, recorder);
  let computed: readonly NextToken[] = [{ token: prompted.next, logits: prompted.logits }];
  let at = 0;

  const limit = Math.min(settings.maxTokens, model.contextTokens - promptTokens.length);
  for (;;) {
    const { token: greedy, logits } = computed[at]!;
    const token =
      logits && !isGreedy(settings.sampler)
        ? sampleToken(logits, settings.sampler, [...promptTokens, ...tokens], () =>
            random.uniform(),
          )
        : greedy;
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
      ...(logits &&
        settings.topLogprobs !== undefined && {
          logprobs: [spelled(logprobsOf(logits, token, settings.topLogprobs), tokenizer)],
        }),
    };
    if (piece.stopped) return end("stop");
    if (ended) return end("length");
    if (parts.signal?.aborted) return end("aborted");
    if (++at < computed.length) continue;
    const next = await source.next(token, limit - tokens.length);
    if (!next) return end("aborted");
    computed = next;
    at = 0;
  }
}

/** Gives the tokens that follow `token`, at least one and at most `most`; undefined when it was aborted. */
interface TokenSource {
  next(token: number, most: number): Promise<readonly NextToken[] | undefined>;
}

function createSource(
  parts: ReplyParts,
  prompted: PassResult,
  wantLogits: boolean,
  recorder: TraceRecorder | undefined,
): TokenSource {
  const { model, tokenizer, speculation, promptTokens } = parts;
  const alone = (token: number) => runPass(parts, [token], { logits: wantLogits }, recorder);
  if (speculation.drafter === "off") {
    return {
      async next(token) {
        const pass = await alone(token);
        return pass && [{ token: pass.next, logits: pass.logits }];
      },
    };
  }
  const drafting = new Drafting(
    speculation,
    {
      alone,
      verify: (tokens, known) => verifyPass(parts, tokens, known, wantLogits, recorder),
    },
    { speculation: model.speculation, endTokens: tokenizer.endTokens, vocab: model.spec.vocab },
  );
  drafting.start(promptTokens, prompted);
  return { next: (_, most) => drafting.next(most) };
}

/** Computes the prompt in chunks, leaving out what the KV cache already holds; undefined when aborted. */
async function prefill(
  parts: ReplyParts,
  wantLogits: boolean,
  recorder: TraceRecorder | undefined,
): Promise<PassResult | undefined> {
  const { promptTokens, history } = parts;
  let position = history.reuse(promptTokens);
  for (;;) {
    const chunk = promptTokens.slice(position, position + CHUNK_TOKENS);
    position += chunk.length;
    const last = position === promptTokens.length;
    const predicts = parts.speculation.drafter === "mtp" && {
      predicts: { behind: promptTokens[position] ?? NOTHING },
    };
    const options = { logits: wantLogits && last, ...predicts };
    const pass = await runPass(parts, chunk, options, recorder);
    if (!pass || last) return pass;
  }
}

/** One pass at the end of the history; undefined when it was aborted. */
async function runPass(
  parts: ReplyParts,
  tokens: readonly number[],
  options: Pick<PassOptions, "logits" | "predicts">,
  recorder: TraceRecorder | undefined,
): Promise<PassResult | undefined> {
  const { model, history, signal } = parts;
  return unlessAborted(signal, async () => {
    const position = history.length;
    const pass = await history.compute(tokens, () =>
      parts.exclusive(() => model.pass(tokens, position, { ...options, signal })),
    );
    recorder?.record(tokens, pass.ids);
    return pass;
  });
}

/** One pass over drafted tokens at the end of the history, which keeps those that are right; undefined when aborted. */
async function verifyPass(
  parts: ReplyParts,
  tokens: readonly number[],
  known: number,
  logits: boolean,
  recorder: TraceRecorder | undefined,
): Promise<VerifiedPass | undefined> {
  const { model, history, signal } = parts;
  return unlessAborted(signal, async () => {
    const position = history.length;
    const verified = await history.compute(
      tokens,
      () => parts.exclusive(() => model.verify(tokens, known, position, { logits, signal })),
      ({ kept }) => kept,
    );
    if (verified.kept === 0) history.restored();
    recorder?.record(tokens, verified.pass.ids);
    return verified;
  });
}

async function unlessAborted<Result>(
  signal: AbortSignal | undefined,
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  if (signal?.aborted) return undefined;
  try {
    return await work();
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
  const own = ownMoe(spec);
  const [first] = own;
  const pools = 1 + Math.max(-1, ...own.map(({ pool }) => pool));
  const filled = wasFilled(cache);
  return new TraceRecorder({
    topK: first?.topK ?? 0,
    experts: first?.experts ?? 0,
    layers: own.map(({ layer }) => layer),
    pools: own.map(({ pool }) => pool),
    recordBytes: needs.recordBytes.slice(0, pools),
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
