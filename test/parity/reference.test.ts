import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type WeightFormatName, weightFormats } from "../../src/formats/registry.ts";
import { architectures } from "../../src/models/registry.ts";
import { type GgufKeys, g } from "../helpers/gguf-writer.ts";
import {
  type GreedyRun,
  greedyChoice,
  type LlamaOracle,
  openLlamaOracle,
} from "../helpers/llama-oracle.ts";
import { expandToF32, type TinyModelOptions, tinyModel } from "../helpers/tiny-models.ts";
import { greatestDifference } from "../helpers/within.ts";
import { openReferenceModel } from "../reference/model.ts";

/**
 * llama.cpp in f32 against the reference in f64, over logits that spread by about 3. Measured: at most 1e-4 after a few
 * layers (the deepest and widest case), most 2e-5. The smallest planted fault moves logits by far more.
 */
const F32_TOLERANCE = 5e-4;

/**
 * llama.cpp looks gelu up in a table by its argument in f16: both are rounded by 2^-11. Measured: at most 5e-3; with the
 * reference rounding likewise, 5e-4 and less unless an argument falls to the other side of a rounding.
 */
const GELU_TOLERANCE = 2e-2;

/**
 * llama.cpp rounds activations before products: to the weights' type if it is f16 or bf16, to 8 bits for quantised ones.
 * Measured on three seeds, the median over tokens of the root mean square difference of logits that spread by about 3:
 * f16 3e-3, bf16 2e-2, the others 7e-2 to 1.3e-1. Now and then a token's experts change, and its logits by 2: so the
 * median.
 */
const ROUNDED_TOLERANCE = { f32: 1e-5, f16: 1e-2, bf16: 0.1 } as const;
const QUANTISED_TOLERANCE = 0.3;

/** Greedy choices are compared only where the best token leads by more than this. */
const CLEAR_MARGIN = 1e-2;

/** The context that llama.cpp is given. */
const ORACLE_TOKENS = 256;

/** How the reference is opened to be compared: where llama.cpp departs from a model's own rules, so does it. */
const LIKE_ORACLE = { contextTokens: ORACLE_TOKENS, rules: "llama.cpp" } as const;

const PROMPT = Array.from({ length: 24 }, (_, i) => (i * 37 + 11) % 250);

/** Head and expert widths unlike the hidden one, so that a mix-up of shapes shows. */
const SMALL = { hidden: 64, ffn: 96, heads: 4, headDim: 32 } as const;

/** Every second layer has a window, and a base of its own: those of a SmallThinker that llama.cpp would read. */
const localEverySecond: GgufKeys = {
  "smallthinker.attention.sliding_window_pattern": g.u32(2),
  "smallthinker.rope.freq_base_swa": g.f32(500),
};

/** Positions scaled eightfold, by an attention factor too. */
function scaled(type: "yarn" | "longrope", originalTokens: number): GgufKeys {
  return {
    "llama.rope.scaling.type": g.string(type),
    "llama.rope.scaling.factor": g.f32(8),
    "llama.rope.scaling.original_context_length": g.u32(originalTokens),
    "llama.rope.scaling.attn_factor": g.f32(1.25),
  };
}

/** Bamba's way: positions, one group, no shared expert. */
const ROTATED_GRANITE: GgufKeys = {
  "granitehybrid.rope.scaling.finetuned": g.bool(true),
  "granitehybrid.ssm.group_count": g.u32(1),
  "granitehybrid.expert_shared_feed_forward_length": g.u32(0),
};
/** Positions scaled as in DeepSeek's models, whose scores are scaled, too. */
function latentYarn(logMultiplier: number): GgufKeys {
  return {
    "deepseek2.rope.scaling.type": g.string("yarn"),
    "deepseek2.rope.scaling.factor": g.f32(40),
    "deepseek2.rope.scaling.original_context_length": g.u32(64),
    "deepseek2.rope.scaling.yarn_log_multiplier": g.f32(logMultiplier),
  };
}

/** Head sizes and ranks that are all different. */
const LATENT = {
  layers: 3,
  headDim: 48,
  latent: { rank: 40, queryRank: 0, valueDim: 24, isSplit: true },
} as const;

const CASES: readonly TinyModelOptions[] = [
  { architecture: "smallthinker", ...SMALL },
  { architecture: "smallthinker", ...SMALL, score: "softmax", tiedHead: true, topK: 3 },
  { architecture: "smallthinker", ...SMALL, windows: true, layers: 5 },
  { architecture: "smallthinker", ...SMALL, windows: true, layers: 4 },
  { architecture: "qwen2moe", ...SMALL, headDim: 16 },
  { architecture: "ernie4_5-moe", ...SMALL, headDim: 16, layers: 3 },
  {
    architecture: "ernie4_5-moe",
    ...SMALL,
    headDim: 16,
    layers: 3,
    selectionBias: false,
    tiedHead: true,
  },
  { architecture: "bailingmoe2", ...SMALL, headDim: 16, layers: 3 },
  { architecture: "bailingmoe2", ...SMALL, headDim: 16, layers: 2, predicts: true },
  {
    architecture: "bailingmoe2",
    ...SMALL,
    headDim: 16,
    experts: 16,
    topK: 4,
    score: "softmax",
    selectionBias: false,
  },
  { architecture: "phimoe", ...SMALL, headDim: 16 },
  { architecture: "phimoe", ...SMALL, headDim: 16, ropeFactors: "longrope", topK: 3 },
  { architecture: "qwen3moe", ...SMALL },
  { architecture: "qwen3moe", ...SMALL, tiedHead: true, kvHeads: 1, topK: 8 },
  { architecture: "olmoe", ...SMALL, headDim: 16 },
  { architecture: "smallthinker", ...SMALL, windows: true, layers: 3, keys: localEverySecond },
  { architecture: "qwen2", ...SMALL, headDim: 16 },
  { architecture: "qwen3", ...SMALL, tiedHead: true },
  { architecture: "gpt-oss", ...SMALL },
  { architecture: "gpt-oss", ...SMALL, layers: 4, window: 3, topK: 4 },
  { architecture: "llama", ...SMALL },
  { architecture: "llama", ...SMALL, ropeFactors: "llama 3", ropeScale: 4, tiedHead: true },
  { architecture: "llama", ...SMALL, fused: true },
  { architecture: "llama", ...SMALL, keys: scaled("yarn", 64) },
  { architecture: "llama", ...SMALL, ropeFactors: "longrope", keys: scaled("longrope", 64) },
  { architecture: "llama", ...SMALL, ropeFactors: "longrope", keys: scaled("longrope", 512) },
  { architecture: "deepseek2", ...SMALL, ...LATENT },
  { architecture: "deepseek2", ...SMALL, ...LATENT, latent: { ...LATENT.latent, isSplit: false } },
  { architecture: "deepseek2", ...SMALL, ...LATENT, latent: { ...LATENT.latent, queryRank: 56 } },
  { architecture: "deepseek2", ...SMALL, ...LATENT, score: "sigmoid", tiedHead: true },
  { architecture: "deepseek2", ...SMALL, ...LATENT, keys: latentYarn(0.0707) },
  { architecture: "deepseek2", ...SMALL, ...LATENT, keys: latentYarn(0.1) },
  { architecture: "deepseek2", ...SMALL, ...LATENT, keys: latentYarn(0) },
  { architecture: "gemma4", ...SMALL, tiedHead: true },
  { architecture: "gemma4", ...SMALL, layers: 4, experts: 0 },
  { architecture: "llama", ...SMALL, experts: 8 },
  { architecture: "llama", ...SMALL, experts: 6, topK: 1, ropeFactors: "llama 3" },
  { architecture: "granite", ...SMALL },
  { architecture: "granitemoe", ...SMALL, tiedHead: true },
  { architecture: "granitehybrid", ...SMALL, layers: 4 },
  { architecture: "granitehybrid", ...SMALL, experts: 0 },
  { architecture: "granitehybrid", ...SMALL, keys: ROTATED_GRANITE },
  { architecture: "lfm2", ...SMALL, headDim: 16, layers: 4 },
  { architecture: "lfm2moe", ...SMALL, headDim: 16 },
];

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-parity-"));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** Runs `use` with llama.cpp on a model of these bytes. */
async function withOracle<T>(
  bytes: Uint8Array,
  use: (oracle: LlamaOracle) => Promise<T>,
): Promise<T> {
  const path = join(folder, "model.gguf");
  await writeFile(path, bytes);
  const oracle = await openLlamaOracle(path, { contextTokens: ORACLE_TOKENS });
  try {
    return await use(oracle);
  } finally {
    await oracle.dispose();
  }
}

/** The reference's greedy tokens after `prompt`, told llama.cpp's choice where it is no clear one. */
async function referenceGreedy(bytes: Uint8Array, prompt: readonly number[], oracle: GreedyRun) {
  const model = await openReferenceModel(bytes, LIKE_ORACLE);
  let { logits } = model.run(prompt);
  return oracle.tokens.map((token, step) => {
    const choice = oracle.margins[step]! > CLEAR_MARGIN ? greedyChoice(logits).best : token;
    const difference = greatestDifference(logits, oracle.logits[step]!);
    logits = model.run([token]).logits;
    return { choice, difference };
  });
}

test("every architecture that llama.cpp knows has a case", () => {
  const tried = new Set(CASES.map(({ architecture }) => architecture));
  // `sluice` is this project's own: test/node/models/siblings.test.ts has PyTorch's logits.
  expect([...tried, "sluice"].sort()).toEqual(Object.keys(architectures).sort());
});

describe.for(CASES)("the reference of %o", (options) => {
  const bytes = tinyModel(options);
  const tolerance = options.architecture === "gemma4" ? GELU_TOLERANCE : F32_TOLERANCE;

  test("has llama.cpp's logits after every token", async () => {
    const expected = await withOracle(bytes, (oracle) => oracle.logits(PROMPT));
    const model = await openReferenceModel(bytes, LIKE_ORACLE);
    const differences = PROMPT.map((token, i) =>
      greatestDifference(model.run([token]).logits, expected[i]!),
    );
    expect(Math.max(...differences)).toBeLessThan(tolerance);
  });

  test("has llama.cpp's greedy tokens", async () => {
    const expected = await withOracle(bytes, (oracle) => oracle.greedy(PROMPT, 16));
    const steps = await referenceGreedy(bytes, PROMPT, expected);
    expect(steps.map(({ choice }) => choice)).toEqual(expected.tokens);
    expect(Math.max(...steps.map(({ difference }) => difference))).toBeLessThan(tolerance);
    expect(expected.margins.filter((margin) => margin > CLEAR_MARGIN).length).toBeGreaterThan(10);
  });
});

describe.for(Object.keys(weightFormats) as WeightFormatName[])("a model in %s", (format) => {
  // K-quants want rows of whole 256s.
  const bytes = tinyModel({ architecture: "smallthinker", format, seed: 7 });
  const tokens = PROMPT.slice(0, 12);

  test("has the logits that llama.cpp gives for its tensors expanded to F32", async () => {
    const expanded = await expandToF32(bytes);
    const expected = await withOracle(expanded, (oracle) => oracle.greedy(tokens, 1));
    const model = await openReferenceModel(bytes, LIKE_ORACLE);
    const difference = greatestDifference(model.run(tokens).logits, expected.logits[0]!);
    expect(difference).toBeLessThan(F32_TOLERANCE);
  });

  test("has llama.cpp's logits up to what its rounded activations explain", async () => {
    const expected = await withOracle(bytes, (oracle) => oracle.logits(tokens));
    const model = await openReferenceModel(bytes, LIKE_ORACLE);
    const differences = tokens.map((token, i) =>
      rootMeanSquare(model.run([token]).logits, expected[i]!),
    );
    const tolerances: Partial<Record<WeightFormatName, number>> = ROUNDED_TOLERANCE;
    expect(median(differences)).toBeLessThan(tolerances[format] ?? QUANTISED_TOLERANCE);
  });
});

function rootMeanSquare(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const squares = Array.from(a, (value, i) => (value - b[i]!) ** 2);
  return Math.sqrt(squares.reduce((x, y) => x + y) / squares.length);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
