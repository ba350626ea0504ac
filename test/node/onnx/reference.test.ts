import { describe, expect, onTestFinished, test } from "vitest";
import { createEngine } from "../../../src/engine/engine.ts";
import type { EngineHost } from "../../../src/engine/types.ts";
import { architectures } from "../../../src/models/registry.ts";
import { type TinyModelOptions, tinyModel } from "../../helpers/tiny-models.ts";
import { greatestDifference } from "../../helpers/within.ts";
import { openReferenceModel } from "../../reference/model.ts";

/**
 * How far a log-probability may be from the reference's in f64. Both sum a few thousand products, in f32 here: errors near
 * 1e-5 (measured: 2e-5 at most). The smallest planted fault moves them by far more.
 */
const LOGPROB_TOLERANCE = 2e-4;

/** One of each kind of part that an architecture may have, and then some. */
const MODELS: Readonly<Record<string, TinyModelOptions>> = {
  ...Object.fromEntries(
    Object.keys(architectures).map((name) => [
      name,
      { architecture: name } as Pick<TinyModelOptions, "architecture">,
    ]),
  ),
  "smallthinker with windows": { architecture: "smallthinker", windows: true, window: 4 },
  "phimoe with long factors": { architecture: "phimoe", ropeFactors: "longrope" },
  "deepseek2 with one tensor of keys and values": {
    architecture: "deepseek2",
    latent: { rank: 64, queryRank: 32, valueDim: 64, isSplit: false },
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
  const engine = createEngine({ gpu: undefined, ...host });
  onTestFinished(() => engine.dispose());
  await engine.load(new Blob([bytes]), { runtime: "onnx", fill: "off" }, {});

  const { logprobs } = await engine.score(TOKENS);

  expect(greatestDifference(logprobs, await referenceScores(bytes))).toBeLessThan(
    LOGPROB_TOLERANCE,
  );
}

async function referenceScores(bytes: Uint8Array): Promise<number[]> {
  const model = await openReferenceModel(bytes);
  return TOKENS.slice(1).map((token, index) => {
    const { logits } = model.run(TOKENS.slice(index, index + 1));
    const best = Math.max(...logits);
    const sum = logits.reduce((total, logit) => total + Math.exp(logit - best), 0);
    return logits[token]! - best - Math.log(sum);
  });
}
