import { describe, expect, test } from "vitest";
import type { Engine, EngineSource } from "../../src/engine/types.ts";
import { type WeightFormatName, weightFormats } from "../../src/formats/registry.ts";
import { architectures } from "../../src/models/registry.ts";
import { loadCold, replyOf } from "../helpers/engine.ts";
import type { OracleFixture, OracleOptions } from "../helpers/oracle-command.ts";
import type { TinyModelOptions } from "../helpers/tiny-models.ts";
import { greatestDifference } from "../helpers/within.ts";

/**
 * How far a log-probability may be from llama.cpp's on the same weights in F32. Both sum a few thousand products in f32
 * in different orders: errors near 1e-5 (measured: 5e-5 at most), which leaves room for other adapters' `exp`.
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

/** What is compared with llama.cpp, and how it is reached. */
export interface ParityRun {
  /** Disposed of by its maker. */
  readonly engine: Engine;
  readonly oracle: (options: OracleOptions) => Promise<OracleFixture>;
  /** Opens a fixture's model. */
  readonly open: (fixture: OracleFixture) => EngineSource | Promise<EngineSource>;
  /** The formats in which the model of that place is compared; default: {@link parityFormats}. */
  readonly formatsOf?: (name: string, index: number) => readonly WeightFormatName[];
}

const formats = Object.keys(weightFormats) as WeightFormatName[];

/** The first model in every format; each other one in two common formats and one more, in turn. */
export function parityFormats(name: string, index: number): readonly WeightFormatName[] {
  if (index === 0) return formats;
  // As its files are published.
  if (name === "gpt-oss") return ["q8_0", "q4_k", "mxfp4"];
  const others = formats.filter((format) => format !== "q8_0" && format !== "q4_k");
  return ["q8_0", "q4_k", others[index % others.length]!];
}

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

/** Defines the tests that compare whole models with llama.cpp: log-probabilities, greedy tokens and scores. */
export function testParity({ engine, oracle, open, formatsOf = parityFormats }: ParityRun): void {
  const counts = { tokens: 0, compared: 0 };
  const worst = new Worst();

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
        const exact = await oracle({ ...options, expand: true });
        // Where llama.cpp departs from a model's own rules, it is followed.
        await loadCold(engine, await open(exact), { rules: "llama.cpp" });
        const ours = await run(engine, exact);

        const sure = sureSteps(exact);
        const repliesDiffer = worstDifference(ours.logprobs, exact);
        expect(repliesDiffer).toBeLessThan(tolerance);
        worst.add(options, repliesDiffer);
        expect(ours.tokens.slice(0, sure)).toEqual(exact.tokens.slice(0, sure));
        counts.compared += sure;
        counts.tokens += exact.tokens.length;

        const { logprobs } = await engine.score([...exact.prompt, ...exact.tokens]);
        const scoresDiffer = greatestDifference(logprobs, exact.scores);
        expect(scoresDiffer).toBeLessThan(tolerance);
        worst.add(options, scoresDiffer);

        if (format === "f32" || abortsWhenRounding(options)) return;
        // llama.cpp rounds activations to int8 (f16 for F16 weights): its answers for the file as it is may differ from
        // ours by what they differ from its own answers for the expanded copy.
        const rounded = await oracle(options);
        const explained = difference(logprobsOf(rounded.logits[0]!), logprobsOf(exact.logits[0]!));
        expect(difference(ours.logprobs[0]!, logprobsOf(rounded.logits[0]!))).toBeLessThan(
          explained + tolerance,
        );
      });
    },
  );

  test("against llama.cpp: experts whose matrices differ in format, a quarter of them resident", async () => {
    const mixed = await oracle({ ...MIXED, expand: true, steps: 4 });
    await loadCold(engine, await open(mixed), { gpuBudget: "25%" });

    const { logprobs } = await engine.score([...mixed.prompt, ...mixed.tokens]);

    expect(greatestDifference(logprobs, mixed.scores)).toBeLessThan(LOGPROB_TOLERANCE);
  });

  test("most greedy tokens were sure enough to be compared", () => {
    console.info(
      `largest differences of a log-probability: ${worst}\n` +
        `${counts.compared} of ${counts.tokens} greedy tokens compared`,
    );
    expect(counts.compared).toBeGreaterThan(counts.tokens / 2);
  });
}

/** The largest differences so far by format; those of models with a tolerance of their own apart. */
class Worst {
  readonly #byKind = new Map<string, number>();

  add(options: TinyModelOptions, difference: number): void {
    const { architecture, format = "f32" } = options;
    const kind = toleranceOf(options) === LOGPROB_TOLERANCE ? format : architecture;
    this.#byKind.set(kind, Math.max(this.#byKind.get(kind) ?? 0, difference));
  }

  toString(): string {
    const entries = [...this.#byKind].map(([kind, worst]) => `${kind} ${worst.toExponential(1)}`);
    return entries.join(", ");
  }
}

/** Steps before the two may part: up to a token whose margin is small, and to an end token, where the engine stops. */
function sureSteps({ margins, tokens, logits }: OracleFixture): number {
  const vocab = logits[0]!.length;
  const ends = [vocab - 3, vocab - 1]; // <|endoftext|> and <|im_end|> of test/helpers/tiny-vocab.ts
  const first = margins.findIndex(
    (margin, step) => margin <= LEAST_MARGIN || ends.includes(tokens[step]!),
  );
  return first < 0 ? tokens.length : first;
}

/** The reply to the fixture's prompt; log-probabilities of the whole vocabulary, by id, for each token. */
async function run(engine: Engine, fixture: OracleFixture) {
  const vocab = fixture.logits[0]!.length;
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
