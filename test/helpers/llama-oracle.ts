import { getLlama, type Llama, LlamaLogLevel, type Token } from "node-llama-cpp";
import { logprobOf } from "./logprob.ts";

/**
 * llama.cpp on the CPU, by way of `node-llama-cpp`: what whole models are judged by. Node only.
 *
 * `controlledEvaluate` gives the raw logits of every token of the vocabulary after any token, as f32, before any
 * sampling, so that logits themselves are compared and not only probabilities. Flash attention is off, the KV cache is
 * F32 and there is one thread, so with F32 tensors the only difference from f64 is the rounding of f32. With quantised
 * tensors llama.cpp quantises activations too, and differs by that.
 */
export interface LlamaOracle {
  /** The logits `[vocab]` after each of `tokens`. */
  logits(tokens: readonly number[]): Promise<Float32Array[]>;
  /** The log-probability of each of `tokens` but the first, given those before it. */
  score(tokens: readonly number[]): Promise<number[]>;
  /** Greedy decoding of `count` tokens that follow `tokens`, end-of-text tokens included. */
  greedy(tokens: readonly number[], count: number): Promise<GreedyRun>;
  /** llama.cpp's ids of `text`, with no token added. Special tokens' names are text unless `special`. */
  tokenize(text: string, special?: boolean): readonly number[];
  dispose(): Promise<void>;
}

/** Greedy decoding, step by step. */
export interface GreedyRun {
  readonly tokens: readonly number[];
  /** The chosen logit less the second best: below about 1e-2 another right implementation may choose otherwise. */
  readonly margins: readonly number[];
  /** The logits that each token was chosen by. */
  readonly logits: readonly Float32Array[];
}

let shared: Promise<Llama> | undefined;

/** llama.cpp itself, loaded once. */
function llama(): Promise<Llama> {
  shared ??= getLlama({
    gpu: false,
    build: "never",
    skipDownload: true,
    maxThreads: 1,
    logLevel: LlamaLogLevel.error,
  });
  return shared;
}

/** Loads the GGUF at `path`. The caller disposes of the oracle. */
export async function openLlamaOracle(
  path: string,
  { contextTokens = 256 }: { readonly contextTokens?: number } = {},
): Promise<LlamaOracle> {
  const model = await (await llama()).loadModel({ modelPath: path, gpuLayers: 0 });
  const context = await model.createContext({
    contextSize: contextTokens,
    batchSize: contextTokens,
    flashAttention: false,
    threads: 1,
    experimentalKvCacheKeyType: "F32",
    experimentalKvCacheValueType: "F32",
  });
  const sequence = context.getSequence();
  const vocab = model.fileInfo.metadata.tokenizer?.ggml.tokens?.length ?? 0;

  /** Evaluates tokens that follow those before, and gives the logits after each, or after the last only. */
  async function evaluate(
    tokens: readonly number[],
    after: "each" | "last",
  ): Promise<Float32Array[]> {
    const wanted = after === "each" ? tokens.length : 1;
    const outputs = await sequence.controlledEvaluate(
      tokens.map((token, index) =>
        index < tokens.length - wanted
          ? (token as Token)
          : [token as Token, { generateNext: { logits: true } }],
      ),
    );
    return outputs.slice(tokens.length - wanted).map((output) => {
      const map = output?.next.logits;
      if (map?.size !== vocab) throw new Error(`llama.cpp gave ${map?.size} of ${vocab} logits`);
      const logits = new Float32Array(vocab);
      for (const [token, logit] of map) logits[token] = logit;
      return logits;
    });
  }

  async function logitsOf(tokens: readonly number[]): Promise<Float32Array[]> {
    await sequence.clearHistory();
    return evaluate(tokens, "each");
  }

  return {
    logits: logitsOf,
    async score(tokens) {
      const logits = await logitsOf(tokens.slice(0, -1));
      return logits.map((row, index) => logprobOf(row, tokens[index + 1]!));
    },
    async greedy(tokens, count) {
      await sequence.clearHistory();
      let last = (await evaluate(tokens, "last"))[0]!;
      const run = { tokens: [] as number[], margins: [] as number[], logits: [] as Float32Array[] };
      while (run.tokens.length < count) {
        const { best, margin } = greedyChoice(last);
        run.tokens.push(best);
        run.margins.push(margin);
        run.logits.push(last);
        if (run.tokens.length < count) last = (await evaluate([best], "last"))[0]!;
      }
      return run;
    },
    tokenize: (text, special = false) => model.tokenize(text, special, "trimLeadingSpace"),
    async dispose() {
      await context.dispose();
      await model.dispose();
    },
  };
}

/** The token with the greatest logit, the lower id of equal ones, and how far it is from the next. */
export function greedyChoice(logits: ArrayLike<number>): {
  readonly best: number;
  readonly margin: number;
} {
  let best = 0;
  for (let token = 1; token < logits.length; token++) {
    if (logits[token]! > logits[best]!) best = token;
  }
  let second = Number.NEGATIVE_INFINITY;
  for (let token = 0; token < logits.length; token++) {
    if (token !== best) second = Math.max(second, logits[token]!);
  }
  return { best, margin: logits[best]! - second };
}
