import { describe, expect, onTestFinished, test } from "vitest";
import type { EngineHost } from "../../../src/engine/types.ts";
import { type ArchitectureName, architectures } from "../../../src/models/registry.ts";
import { createOnnxEngine, loadCold } from "../../helpers/engine.ts";
import { logprobOf } from "../../helpers/logprob.ts";
import { type TinyModelOptions, tinyModel } from "../../helpers/tiny-models.ts";
import { greatestDifference } from "../../helpers/within.ts";
import { openReferenceModel } from "../../reference/model.ts";

/**
 * How far a log-probability may be from the reference's in f64. Both sum a few thousand products, in f32 here: errors near
 * 1e-5 (measured: 2e-5 at most). The smallest planted fault moves them by far more.
 */
const LOGPROB_TOLERANCE = 2e-4;

/** Widths that are all different, so that a mix-up of shapes shows. */
const SIZES = { hidden: 64, ffn: 96, heads: 4, headDim: 32 } as const;

/** A third of a head is rotated there. */
const LATENT = { architecture: "deepseek2", ...SIZES, headDim: 48 } as const;

/** One of each kind of part that an architecture may have, and then some. */
const MODELS: Readonly<Record<string, TinyModelOptions>> = {
  ...Object.fromEntries(
    (Object.keys(architectures) as ArchitectureName[]).map((architecture) => [
      architecture,
      { architecture, ...SIZES },
    ]),
  ),
  "smallthinker with layers that have no positions": {
    architecture: "smallthinker",
    ...SIZES,
    windows: true,
    layers: 5,
  },
  "gpt-oss with short windows": { architecture: "gpt-oss", ...SIZES, window: 3 },
  "phimoe with long factors": { architecture: "phimoe", ...SIZES, ropeFactors: "longrope" },
  deepseek2: { ...LATENT, latent: { rank: 40, queryRank: 0, valueDim: 24, isSplit: true } },
  "deepseek2 with one tensor of keys and values": {
    ...LATENT,
    latent: { rank: 40, queryRank: 32, valueDim: 24, isSplit: false },
  },
};

const TOKENS = [1, 5, 9, 3, 7, 2, 8, 11, 4, 6, 0, 12];

/** Formats of each kind: whole numbers with and without mins, with groups of each length, and floats. */
const PACKED = ["q4_0", "q4_k", "q6_k", "tq2_0", "f16"] as const;

describe("against the reference", () => {
  test.for(Object.entries(MODELS))("%s", async ([, options]) => {
    await expectScores(options);
  });

  test.for(PACKED)("%s, with all matrices packed", async (format) => {
    await expectScores({ architecture: "olmoe", format }, { expandedBytes: 0 });
  });
});

async function expectScores(options: TinyModelOptions, host: Partial<EngineHost> = {}) {
  const bytes = tinyModel(options);
  const engine = createOnnxEngine(host);
  onTestFinished(() => engine.dispose());
  await loadCold(engine, new Blob([bytes]));

  const { logprobs } = await engine.score(TOKENS);

  expect(greatestDifference(logprobs, await referenceScores(bytes))).toBeLessThan(
    LOGPROB_TOLERANCE,
  );
}

async function referenceScores(bytes: Uint8Array): Promise<number[]> {
  const model = await openReferenceModel(bytes);
  return TOKENS.slice(1).map((token, index) =>
    logprobOf(model.run([TOKENS[index]!]).logits, token),
  );
}
