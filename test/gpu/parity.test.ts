import { afterAll, describe, expect, test } from "vitest";
import { commands } from "vitest/browser";
import { createEngine } from "../../src/engine/engine.ts";
import { type WeightFormatName, weightFormats } from "../../src/formats/registry.ts";
import { architectures } from "../../src/models/registry.ts";
import { loadCold, replyOf } from "../helpers/engine.ts";
import type { OracleFixture } from "../helpers/oracle-command.ts";
import type { TinyModelOptions } from "../helpers/tiny-models.ts";
import { greatestDifference } from "../helpers/within.ts";

/**
 * How far a log-probability may be from llama.cpp's on the same weights in F32. Both sum a few thousand products in f32
 * in different orders: errors near 1e-5 (measured: 4.7e-5 at most), which leaves room for other adapters' `exp`.
 */
const LOGPROB_TOLERANCE = 2e-3;

/** Another right implementation may choose another token when the best one leads by less. */
const LEAST_MARGIN = 1e-2;

/** A dense layer and one with experts; ranks that K-quants allow. */
const LATENT = {
  architecture: "deepseek2",
  layers: 2,
  latent: { rank: 256, queryRank: 0, valueDim: 64, isSplit: true },
} as const;

const MODELS: Record<string, TinyModelOptions> = {
  smallthinker: { architecture: "smallthinker" },
  qwen3moe: { architecture: "qwen3moe" },
  olmoe: { architecture: "olmoe" },
  llama: { architecture: "llama" },
  "gpt-oss": { architecture: "gpt-oss" },
  qwen2: { architecture: "qwen2" },
  qwen3: { architecture: "qwen3" },
  mixtral: { architecture: "llama", experts: 8 },
  granite: { architecture: "granite" },
  granitemoe: { architecture: "granitemoe" },
  granitehybrid: { architecture: "granitehybrid", experts: 4 },
  lfm2: { architecture: "lfm2" },
  lfm2moe: { architecture: "lfm2moe", experts: 4 },
  deepseek2: { ...LATENT },
  "deepseek2 with compressed queries and a sigmoid": {
    ...LATENT,
    score: "sigmoid",
    latent: { ...LATENT.latent, queryRank: 256 },
  },
  "deepseek2 with one tensor of keys and values": {
    ...LATENT,
    latent: { ...LATENT.latent, isSplit: false },
  },
  // A sliding layer and a full one.
  gemma4: { architecture: "gemma4", layers: 2, headDim: 128, tiedHead: true },
  qwen2moe: { architecture: "qwen2moe" },
  bailingmoe2: { architecture: "bailingmoe2", experts: 16, topK: 4 },
  "ernie4_5-moe": { architecture: "ernie4_5-moe" },
  phimoe: { architecture: "phimoe", ropeFactors: "longrope" },
};

/** llama.cpp looks gelu up in a table of f16: see test/parity/reference.test.ts. */
function toleranceOf({ architecture }: TinyModelOptions): number {
  return architecture === "gemma4" ? 2e-2 : LOGPROB_TOLERANCE;
}

/**
 * llama.cpp 0.5.0 aborts on a CPU with AMX when attn_k_b is in a format that AMX has kernels for: they take the tensor,
 * and then not its product. To be deleted once it does not.
 */
function abortsWhenRounding({ architecture, latent }: TinyModelOptions): boolean {
  return architecture === "deepseek2" && latent?.isSplit !== false;
}

const engine = createEngine({ gpu: navigator.gpu });
afterAll(() => engine.dispose());

const counts = { tokens: 0, compared: 0, worst: 0 };

/**
 * The first model in every format; each other one in two common formats and one more, in turn. Firefox takes one of
 * these: what it has of its own are the adapter and the compiler, which the tests of kernels and formats are for.
 */
const formats = Object.keys(weightFormats) as WeightFormatName[];
const formatsOf = (name: string, index: number): readonly WeightFormatName[] => {
  if (index === 0) return formats;
  // As its files are published.
  if (name === "gpt-oss") return ["q8_0", "q4_k", "mxfp4"];
  const others = formats.filter((format) => format !== "q8_0" && format !== "q4_k");
  const three = ["q8_0", "q4_k", others[index % others.length]!] as const;
  return navigator.userAgent.includes("Firefox") ? [three[index % 3]!] : three;
};

test("every architecture that llama.cpp knows is compared", () => {
  const compared = new Set(Object.values(MODELS).map(({ architecture }) => architecture));
  expect([...compared, "sluice"].sort()).toEqual(Object.keys(architectures).sort());
});

describe.for(Object.keys(MODELS).map((name, index) => [name, formatsOf(name, index)] as const))(
  "against llama.cpp: %s",
  ([name, formats]) => {
    test.for(formats)("%s", async (format) => {
      const options = { ...MODELS[name]!, format };
      const tolerance = toleranceOf(options);
      const oracle = await commands.oracle({ ...options, expand: true });
      const ours = await run(oracle);

      const sure = sureSteps(oracle);
      const worst = worstDifference(ours.logprobs, oracle);
      expect(worst).toBeLessThan(tolerance);
      counts.worst = Math.max(counts.worst, worst);
      expect(ours.tokens.slice(0, sure)).toEqual(oracle.tokens.slice(0, sure));
      counts.compared += sure;
      counts.tokens += oracle.tokens.length;

      const { logprobs } = await engine.score([...oracle.prompt, ...oracle.tokens]);
      const scoresDiffer = greatestDifference(logprobs, oracle.scores);
      expect(scoresDiffer).toBeLessThan(tolerance);
      counts.worst = Math.max(counts.worst, scoresDiffer);

      if (format === "f32" || abortsWhenRounding(options)) return;
      // llama.cpp rounds activations to int8 (f16 for F16 weights): its answers for the file as it is may differ from ours
      // by what they differ from its own answers for the expanded copy.
      const rounded = await commands.oracle(options);
      const explained = difference(logprobsOf(rounded.logits[0]!), logprobsOf(oracle.logits[0]!));
      expect(difference(ours.logprobs[0]!, logprobsOf(rounded.logits[0]!))).toBeLessThan(
        explained + tolerance,
      );
    });
  },
);

/**
 * Experts as quantisers mix them: more bits for some matrices, and for rows that are no whole blocks of 256 weights,
 * here those of down, a format with blocks of 32.
 */
const MIXED: TinyModelOptions = {
  architecture: "smallthinker",
  ffn: 96,
  formats: {
    "blk.0.ffn_gate_exps.weight": "q4_k",
    "blk.0.ffn_up_exps.weight": "q6_k",
    "blk.0.ffn_down_exps.weight": "q5_0",
    "blk.1.ffn_gate_exps.weight": "iq4_xs",
    "blk.1.ffn_up_exps.weight": "nvfp4",
    "blk.1.ffn_down_exps.weight": "mxfp4",
  },
};

test("against llama.cpp: experts whose matrices differ in format, a quarter of them on the GPU", async () => {
  const oracle = await commands.oracle({ ...MIXED, expand: true, steps: 4 });
  await loadCold(engine, new URL(oracle.url, location.href).href, { gpuBudget: "25%" });

  const { logprobs } = await engine.score([...oracle.prompt, ...oracle.tokens]);

  expect(greatestDifference(logprobs, oracle.scores)).toBeLessThan(LOGPROB_TOLERANCE);
});

test("most greedy tokens were sure enough to be compared", () => {
  console.info(
    `largest difference of a log-probability: ${counts.worst.toExponential(1)}; ` +
      `${counts.compared} of ${counts.tokens} greedy tokens compared`,
  );
  expect(counts.compared).toBeGreaterThan(counts.tokens / 2);
});

/** Steps before the two may part: up to a token whose margin is small, and to an end token, where the engine stops. */
function sureSteps({ margins, tokens, logits }: OracleFixture): number {
  const vocab = logits[0]!.length;
  const ends = [vocab - 3, vocab - 1]; // <|endoftext|> and <|im_end|> of test/helpers/tiny-vocab.ts
  const first = margins.findIndex(
    (margin, step) => margin <= LEAST_MARGIN || ends.includes(tokens[step]!),
  );
  return first < 0 ? tokens.length : first;
}

/** Runs the fixture's model; log-probabilities of the whole vocabulary, by id, for each token. */
async function run(fixture: OracleFixture) {
  const vocab = fixture.logits[0]!.length;
  // Where llama.cpp departs from a model's own rules, it is followed.
  await loadCold(engine, new URL(fixture.url, location.href).href, { rules: "llama.cpp" });
  const { tokens, logprobs } = await replyOf(
    engine,
    { tokens: fixture.prompt },
    { maxTokens: fixture.tokens.length, topLogprobs: vocab },
  );
  return {
    tokens,
    logprobs: logprobs.map(({ top }) => {
      const byId = new Float64Array(vocab);
      for (const { token, logprob } of top) byId[token] = logprob;
      return byId;
    }),
  };
}

/** Over all steps that have the same tokens behind them. */
function worstDifference(logprobs: readonly Float64Array[], oracle: OracleFixture): number {
  return Math.max(
    ...logprobs
      .slice(0, sureSteps(oracle) + 1)
      .map((ours, step) => difference(ours, logprobsOf(oracle.logits[step]!))),
  );
}

function difference(a: Float64Array, b: Float64Array): number {
  let worst = 0;
  for (const [index, value] of a.entries()) {
    const error = Math.abs(value - b[index]!);
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

function logprobsOf(logits: readonly number[]): Float64Array {
  const highest = Math.max(...logits);
  const norm = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - highest), 0));
  return Float64Array.from(logits, (logit) => logit - highest - norm);
}
