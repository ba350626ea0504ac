import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine } from "../../src/engine/types.ts";
import { type CreateEngine, loadCold, replyOf } from "../helpers/engine.ts";
import { logprobOf } from "../helpers/logprob.ts";
import { type TinyModelOptions, tinyModel } from "../helpers/tiny-models.ts";
import { greatestDifference } from "../helpers/within.ts";
import { openReferenceModel } from "../reference/model.ts";

/** Passes of 32 tokens and 9. */
const PROMPT = Array.from({ length: 41 }, (_, index) => (index * 37 + 5) % 300);

/** The GPU sums in f32 what the reference sums in f64: near 1e-5 for logits that spread by 3, as in parity.test.ts. */
const TOLERANCE = 2e-3;

const SMALL = {
  hidden: 64,
  ffn: 64,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  experts: 8,
  topK: 2,
} as const;

/** Layers with experts are not all layers, or have more beside their experts than a router and a norm. */
const MODELS: Record<string, TinyModelOptions> = {
  "experts in every other layer": { architecture: "ernie4_5-moe", layers: 5, moeStep: 2 },
  "a shared expert behind a gate": { architecture: "qwen2moe", layers: 3 },
  "SparseMixer and layer norms": { architecture: "phimoe", layers: 2 },
};

/** Defines the tests of models whose layers differ. */
export function testMixedLayers(createEngine: CreateEngine): void {
  let engine: Engine;
  beforeAll(() => {
    engine = createEngine();
  });
  afterAll(() => engine.dispose());

  describe.for(Object.keys(MODELS))("%s", (name) => {
    const model = tinyModel({ ...SMALL, ...MODELS[name]!, format: "q8_0", seed: 3 });

    test("gives the log-probabilities of f64 and, at every budget, the same bits", async () => {
      const reference = await openReferenceModel(model);
      const moeLayers = reference.spec.moe.map(({ layer }) => layer);
      await loadCold(engine, model.buffer);
      expect(engine.expertMap()).toMatchObject({
        layers: moeLayers.length,
        layerNumbers: moeLayers,
      });

      const all = await engine.score(PROMPT);

      const expected = PROMPT.slice(0, -1).map((token, index) =>
        logprobOf(reference.run([token]).logits, PROMPT[index + 1]!),
      );
      expect(greatestDifference(all.logprobs, expected)).toBeLessThan(TOLERANCE);
      await loadCold(engine, model.buffer, { gpuBudget: "25%", predictor: "next-layer" });
      expect((await engine.score(PROMPT)).logprobs).toEqual(all.logprobs);
    });

    test("is traced, and served with guesses, layer by layer", async () => {
      const { spec } = await openReferenceModel(model);
      await loadCold(engine, model.buffer);
      const free = await replyOf(engine, { tokens: PROMPT }, { maxTokens: 8 });
      for (const predictor of ["next-layer", "previous-token"] as const) {
        await loadCold(engine, model.buffer, { gpuBudget: "50%", predictor });

        const reply = await replyOf(engine, { tokens: PROMPT }, { maxTokens: 8, trace: true });

        expect(reply.tokens).toEqual(free.tokens);
        expect(reply.trace!.layers).toEqual(spec.moe.map(({ layer }) => layer));
        expect(reply.trace!.tokens[0]!.experts).toHaveLength(spec.moe.length * SMALL.topK);
        expect(reply.stats.expertMisses).toBeGreaterThan(0);
      }
    });
  });

  test("rules that nobody has are refused with those that there are", async () => {
    const model = tinyModel({ ...SMALL, architecture: "phimoe" });
    const rules = "guessed" as "published";
    await expect(loadCold(engine, model.buffer, { rules })).rejects.toMatchObject({
      code: "bad-input",
      message: expect.stringContaining("one of published, llama.cpp"),
    });
  });
}
