import type { ExpertCache } from "../experts/expert-cache.ts";
import { TraceRecorder } from "../experts/trace.ts";
import { ownMoe } from "../models/model.ts";
import type { ChooserName } from "../ops/program.ts";
import type { FinishReason, GenerateResult, TokenChunk } from "../rpc/api.ts";
import type { TextTokenizer } from "../tokenizer/tokenizer.ts";
import type { History } from "./history.ts";
import type { RunningModel } from "./model.ts";
import { GpuTokens, HostTokens, type NextToken, type NextTokens, runPass } from "./next-tokens.ts";
import { NOTHING, type PassResult } from "./pass.ts";
import { chooserOf, encodeReplyBlock, seenTokens } from "./reply-block.ts";
import { logprobsOf } from "./sampler.ts";
import type { GenerateSettings } from "./settings.ts";
import { Drafting } from "./speculation/drafting.ts";
import type { SpeculationChoice } from "./speculation/speculation.ts";
import { StopTexts } from "./stop.ts";

/** What a reply is made with; all of it is the engine's. */
export interface ReplyParts {
  readonly model: RunningModel;
  readonly tokenizer: TextTokenizer;
  readonly history: History;
  readonly settings: GenerateSettings;
  /** How the tokens are drafted. */
  readonly speculation: SpeculationChoice;
  readonly promptTokens: readonly number[];
  readonly signal: AbortSignal | undefined;
  /** Runs passes while no budget is being changed. */
  readonly exclusive: <Result>(work: () => Promise<Result>) => Promise<Result>;
  readonly onPrefilled: () => void;
  readonly onToken: () => void;
}

/** How tokens are chosen. */
interface TokenChoice {
  /** By the host, which reads the logits. */
  readonly onHost: boolean;
  readonly chooser: ChooserName;
}

/** A result without its stats, which the engine adds. */
export type ReplyResult = Omit<GenerateResult, "stats">;

/**
 * Computes the prompt, then token after token until something ends the reply.
 * Throws what a pass throws; the conversation computed so far is kept then.
 */
export async function* reply(parts: ReplyParts): AsyncGenerator<TokenChunk, ReplyResult> {
  const { model, settings, promptTokens } = parts;
  const { sampler, seed } = settings;
  const { vocab } = model.spec;
  const onHost = settings.topLogprobs !== undefined || !model.choosing;
  const chooser = onHost ? "top" : chooserOf(sampler, vocab);
  const recorder = settings.trace ? createTrace(model) : undefined;
  const text = new ReplyText(parts);
  const end = (finishReason: FinishReason): ReplyResult => ({
    promptTokens,
    tokens: text.tokens,
    text: text.shown,
    finishReason,
    seed: settings.seed,
    ...(recorder && { trace: recorder.trace() }),
  });

  const { endTokens } = parts.tokenizer;
  model.choosing?.beginReply(
    encodeReplyBlock({ endTokens, sampler, seed, vocab }),
    seenTokens(sampler, promptTokens, vocab),
  );
  const prompted = await prefill({ ...parts, recorder }, { onHost, chooser });
  if (!prompted) return end("aborted");
  parts.onPrefilled();
  const next = createTokens({ ...parts, recorder }, prompted, { onHost, chooser });
  try {
    return end(yield* follow(parts, next, text));
  } finally {
    next.close();
  }
}

/** What goes on from the prompt's last pass. */
function createTokens(
  parts: ReplyParts & { readonly recorder: TraceRecorder | undefined },
  prompted: PassResult,
  { onHost, chooser }: TokenChoice,
): NextTokens {
  const { tokenizer, speculation } = parts;
  if (speculation.drafter !== "off") {
    return new Drafting(parts, prompted, {
      choice: speculation,
      endTokens: tokenizer.endTokens,
      logits: onHost,
    });
  }
  if (onHost) return new HostTokens(parts, prompted);
  return new GpuTokens(parts, { token: prompted.next, chooser });
}

/** Gives out token after token until something ends the reply. */
async function* follow(
  { model, promptTokens, signal, onToken }: ReplyParts,
  next: NextTokens,
  text: ReplyText,
): AsyncGenerator<TokenChunk, FinishReason> {
  const { maxTokens } = text.settings;
  const limit = Math.min(maxTokens, model.contextTokens - promptTokens.length);
  for (;;) {
    const given = await next.next(limit - text.tokens.length);
    if (!given) return "aborted";
    for (const each of given) {
      const ended = text.tokens.length + 1 >= limit;
      const { chunk, stopped, isToken } = text.add(each, ended);
      if (isToken) onToken();
      if (isToken || chunk.text) yield chunk;
      if (stopped) return "stop";
      if (ended) return "length";
    }
    if (signal?.aborted) return "aborted";
  }
}

/** What a reply says: its tokens, and as much of their text as can be shown. */
class ReplyText {
  readonly settings: GenerateSettings;
  readonly tokens: number[] = [];
  shown = "";
  readonly #tokenizer: TextTokenizer;
  readonly #decoder: ReturnType<TextTokenizer["streamDecoder"]>;
  readonly #stops: StopTexts;

  constructor({ tokenizer, settings }: ReplyParts) {
    this.settings = settings;
    this.#tokenizer = tokenizer;
    this.#decoder = tokenizer.streamDecoder();
    this.#stops = new StopTexts(settings.stop);
  }

  /** Adds a token, the last one that there may be if `last`; an end token is none of the reply's. */
  add(
    { token, logits }: NextToken,
    last: boolean,
  ): { readonly chunk: TokenChunk; readonly stopped: boolean; readonly isToken: boolean } {
    if (this.#tokenizer.endTokens.has(token)) {
      const text = this.#stops.push(this.#decoder.flush()).text + this.#stops.flush();
      this.shown += text;
      return { chunk: { tokens: [], text }, stopped: true, isToken: false };
    }
    this.tokens.push(token);
    const piece = this.#stops.push(this.#decoder.push(token) + (last ? this.#decoder.flush() : ""));
    const text = piece.text + (last && !piece.stopped ? this.#stops.flush() : "");
    this.shown += text;
    const { topLogprobs } = this.settings;
    const logprobs =
      logits && topLogprobs !== undefined
        ? { logprobs: [spelled(logprobsOf(logits, token, topLogprobs), this.#tokenizer)] }
        : {};
    return { chunk: { tokens: [token], text, ...logprobs }, stopped: piece.stopped, isToken: true };
  }
}

/** Computes the prompt in chunks, leaving out what the KV cache already holds; undefined when aborted. */
async function prefill(
  parts: ReplyParts & { readonly recorder: TraceRecorder | undefined },
  { onHost, chooser }: TokenChoice,
): Promise<PassResult | undefined> {
  const { promptTokens, history, model } = parts;
  let position = history.reuse(promptTokens);
  for (;;) {
    const chunk = promptTokens.slice(position, position + model.chunkTokens);
    position += chunk.length;
    const last = position === promptTokens.length;
    // What is chosen before the prompt's end is of no use, but tells that the numbers are numbers.
    const choice = { continues: !onHost && last, chooser: last ? chooser : "top" } as const;
    const predicts = parts.speculation.drafter === "mtp" && {
      predicts: { behind: promptTokens[position] ?? NOTHING },
    };
    const options = { logits: onHost && last, ...choice, ...predicts };
    const pass = await runPass(parts, chunk, options);
    if (!pass || last) return pass;
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

function createTrace({ spec, cache, needs }: RunningModel): TraceRecorder {
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
