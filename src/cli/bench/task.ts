import { SluiceError } from "../../errors.ts";
import type {
  EngineProfile,
  EngineStats,
  GenerateOptions,
  GenerateResult,
  ModelInfo,
  PassCounts,
  ProfileOptions,
  Prompt,
} from "../../rpc/api.ts";
import { type Spread, spreadOf } from "./spread.ts";

/** Measurements of a loaded model. Plain data. */
export interface BenchTask {
  readonly kind: "bench";
  readonly promptTokens: number;
  /** Decoded behind each prompt. */
  readonly decodeTokens: number;
  readonly repeats: number;
  /** How many tokens are in the KV cache when decoding is measured, ascending; those that do not fit are left out. */
  readonly depths: readonly number[];
}

/** What a bench needs of an engine, wherever that is. */
export interface BenchEngine {
  tokenize(text: string): readonly number[] | Promise<readonly number[]>;
  reply(prompt: Prompt, options: GenerateOptions): Promise<GenerateResult>;
  profile(options: ProfileOptions): Promise<EngineProfile>;
}

/** A speed, and what the host asked of the GPU for it. */
export interface PhaseReport extends PassCounts {
  readonly tokens: number;
  readonly tokensPerSecond: Spread;
  /** Experts that were uploaded. */
  readonly bytesOfExperts: number;
}

/** What a bench found. */
export interface BenchResult {
  readonly adapter: string;
  readonly variants: EngineStats["variants"];
  /** A whole prompt, with its counts. */
  readonly prefill: PhaseReport;
  /** Tokens behind that prompt; counts are of one token. */
  readonly decode: PhaseReport;
  /** Decode speed by the tokens in the KV cache. */
  readonly depths: readonly { readonly depth: number; readonly tokensPerSecond: Spread }[];
  /** Undefined in WebAssembly, where kernels cannot be timed. */
  readonly profile: EngineProfile | undefined;
}

/** Any text of common words does: speed depends on it by the experts that it is routed to. */
export const BENCH_TEXT =
  "Once upon a time there was a small boat that lived at the end of a long river. Every morning it counted the birds on " +
  "the water, and every evening it told the old bridge what it had seen. One day the wind was strong and the boat was " +
  "carried far away, past the mill and the green hill, to a town that it did not know. A girl with a red hat saw it and " +
  "asked where it wanted to go. The boat said that it had to be home before night, so the two of them rowed together. ";

/** A reply that ends so much earlier than asked for tells little of the speed of decoding. */
const LEAST_SHARE = 0.5;

/** Prompts that are tried until a model does not end its reply at once. */
const MOST_TRIES = 4;

/** How far one prompt is behind the other in the text: they share no beginning that the engine could reuse. */
const STRIDE = 17;

/**
 * Measures prefill and decode speed, decode speed by depth, and where the time goes. The first reply warms up and does
 * not count. Throws "bad-input" where the context is too short, and what the engine throws.
 * @param onStatus is told where the work stands
 */
export async function runBench(
  engine: BenchEngine,
  { contextTokens, vocab }: ModelInfo,
  { promptTokens, decodeTokens, repeats, depths }: BenchTask,
  onStatus: (line: string) => void = () => {},
): Promise<BenchResult> {
  if (promptTokens + decodeTokens + 1 > contextTokens) {
    throw new SluiceError(
      "bad-input",
      `A prompt of ${promptTokens} tokens and ${decodeTokens} decoded ones do not fit into the context of ${contextTokens}. Give less of them, or a longer --context where the model has one.`,
    );
  }
  const text = (await engine.tokenize(BENCH_TEXT)).filter((token) => token < vocab);
  const promptAt = (start: number, length: number) =>
    Array.from({ length }, (_, index) => text[(start + index) % text.length]!);
  const speeds = new Speeds(engine, decodeTokens);

  onStatus("warming up");
  await speeds.measure([promptAt(0, promptTokens)]);
  const measured: EngineStats[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    onStatus(`reply ${repeat + 1} of ${repeats}`);
    const start = (1 + repeat * MOST_TRIES) * STRIDE;
    const starts = Array.from({ length: MOST_TRIES }, (_, index) => start + index * STRIDE);
    measured.push(await speeds.measure(starts.map((each) => promptAt(each, promptTokens))));
  }

  const curve: BenchResult["depths"][number][] = [];
  for (const depth of depths) {
    if (Math.max(1, depth) + decodeTokens + 1 > contextTokens) continue;
    onStatus(`decoding behind ${depth} tokens`);
    // What the replies before have in the cache is used again, and only the rest of the prompt computed.
    const prompt = promptAt(0, Math.max(1, depth));
    const rates: number[] = [];
    for (let repeat = 0; repeat < repeats; repeat++) {
      rates.push((await speeds.measure([prompt])).tokensPerSecond);
    }
    curve.push({ depth, tokensPerSecond: spreadOf(rates) });
  }

  const phases = phasesOf(measured);
  if (measured.at(-1)?.runtime.name === "onnx") {
    return { ...phases, depths: curve, profile: undefined };
  }
  onStatus("timing kernels");
  const profile = await engine.profile({
    depth: promptTokens,
    tokens: promptAt(0, promptTokens),
  });
  return { ...phases, depths: curve, profile };
}

/** Replies whose tokens are counted. */
class Speeds {
  readonly #engine: BenchEngine;
  readonly #decodeTokens: number;

  constructor(engine: BenchEngine, decodeTokens: number) {
    this.#engine = engine;
    this.#decodeTokens = decodeTokens;
  }

  /** What the reply to the first of `prompts` cost that is long enough, or else the longest one. */
  async measure(prompts: readonly (readonly number[])[]): Promise<EngineStats> {
    let longest: EngineStats | undefined;
    for (const tokens of prompts) {
      // The prompt's own pass gives the first token.
      const { stats } = await this.#engine.reply(
        { tokens },
        { maxTokens: this.#decodeTokens + 1, temperature: 0 },
      );
      if (!longest || stats.tokens > longest.tokens) longest = stats;
      if (stats.tokens > LEAST_SHARE * this.#decodeTokens) return stats;
    }
    if (longest && longest.tokens > 1) return longest;
    throw new SluiceError(
      "bad-input",
      "The model ends its reply at once, so that the speed of decoding cannot be measured. Give another --prompt-tokens.",
    );
  }
}

function phasesOf(
  measured: readonly EngineStats[],
): Pick<BenchResult, "adapter" | "variants" | "prefill" | "decode"> {
  const last = measured.at(-1);
  if (!last) throw new Error("unreachable: a bench of no reply");
  const rates = (rate: (stats: EngineStats) => number) => spreadOf(measured.map(rate));
  return {
    adapter: last.adapter,
    variants: last.variants,
    prefill: {
      ...last.prefill,
      tokens: last.promptTokens,
      tokensPerSecond: rates(({ promptTokens, prefillMs }) => (1000 * promptTokens) / prefillMs),
      bytesOfExperts: last.bytesUploaded,
    },
    decode: {
      tokens: last.tokens - 1,
      tokensPerSecond: rates(({ tokensPerSecond }) => tokensPerSecond),
      dispatches: last.dispatchesPerToken,
      submits: last.submitsPerToken,
      readbacks: last.readbacksPerToken,
      bytesWritten: last.bytesWrittenPerToken,
      bytesOfExperts: 0,
    },
  };
}
