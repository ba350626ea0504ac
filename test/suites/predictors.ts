import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine } from "../../src/engine/types.ts";
import { evictionPolicies } from "../../src/experts/policies/registry.ts";
import { type PredictorName, predictors } from "../../src/experts/predictors/registry.ts";
import type { EvictionPolicyName } from "../../src/rpc/api.ts";
import { type CreateEngine, loadCold, replyOf } from "../helpers/engine.ts";
import { type TinyModelOptions, tinyModel } from "../helpers/tiny-models.ts";
import { openReferenceModel } from "../reference/model.ts";

const PROMPT = Array.from({ length: 19 }, (_, index) => (index * 37 + 5) % 300);
const OPTIONS = { maxTokens: 8, topLogprobs: 0, trace: true };

const SIZES: Omit<TinyModelOptions, "architecture"> = {
  ...{ hidden: 64, ffn: 64, heads: 2, kvHeads: 2, headDim: 32 },
  ...{ layers: 3, experts: 8, topK: 2, format: "q8_0" },
};

/** Routers that know at every time, and the predictor that comes from that. */
const MODELS: Readonly<Record<string, TinyModelOptions & { exact: PredictorName | "none" }>> = {
  "before attention": { architecture: "smallthinker", exact: "pre-attention" },
  "a layer before": { architecture: "sluice", routerInput: "previous-layer", exact: "pre-gate" },
  "beside the model": { architecture: "sluice", routerInput: "decoupled", exact: "decoupled" },
  "from the token": { architecture: "sluice", routerInput: "token", exact: "hash" },
  "behind attention": { architecture: "qwen3moe", exact: "none" },
  "by score and bias in groups": { architecture: "bailingmoe2", experts: 16, exact: "none" },
};

const guessing = (Object.keys(predictors) as PredictorName[]).filter(
  (name) => predictors[name].kind === "guess",
);

/** Defines the tests of what routers choose, and of predictors and policies, which change nothing of it. */
export function testPredictors(createEngine: CreateEngine): void {
  let engine: Engine;
  beforeAll(() => {
    engine = createEngine();
  });
  afterAll(() => engine.dispose());

  describe.for(Object.entries(MODELS))("routers that know %s", ([, { exact, ...options }]) => {
    const model = tinyModel({ ...SIZES, ...options });

    test("choose what those of f64 do", async () => {
      const reference = await openReferenceModel(model);
      await loadCold(engine, model.buffer);

      const { tokens, trace } = await replyOf(engine, { tokens: PROMPT }, OPTIONS);

      const text = [...PROMPT, ...tokens.slice(0, -1)];
      const expected = text.map((token) => ({
        token,
        experts: reference.run([token]).choices.flatMap(({ experts }) => experts[0]!),
      }));
      expect(trace!.tokens).toEqual(expected);
      expect(trace!.layers).toEqual(reference.spec.moe.map(({ layer }) => layer));
    });

    test("are served ahead where that is exact, for the same bits", async () => {
      await loadCold(engine, model.buffer);
      const all = await replyOf(engine, { tokens: PROMPT }, OPTIONS);
      for (const predictor of ["auto", "none"] as const) {
        await loadCold(engine, model.buffer, { gpuBudget: "25%", predictor });
        const { stats, ...reply } = await replyOf(engine, { tokens: PROMPT }, OPTIONS);

        expect(reply.tokens, predictor).toEqual(all.tokens);
        expect(reply.logprobs, predictor).toEqual(all.logprobs);
        expect(reply.trace!.tokens, predictor).toEqual(all.trace!.tokens);
        expect(stats.predictor, predictor).toBe(predictor === "auto" ? exact : "none");
        const isAhead = predictor === "auto" && exact !== "none";
        if (isAhead) expect(stats.prefetchIssued).toBeGreaterThan(0);
        else expect(stats.prefetchIssued).toBe(0);
        expect(stats.prefetchUsed).toBe(stats.prefetchIssued);
      }
    });
  });

  const model = tinyModel({ ...SIZES, architecture: "qwen3moe" });

  test.for(guessing)("guesses of %s change no bit, and are counted", async (predictor) => {
    await loadCold(engine, model.buffer);
    const all = await replyOf(engine, { tokens: PROMPT }, { ...OPTIONS, maxTokens: 20 });
    await loadCold(engine, model.buffer, { gpuBudget: "50%", ramBudget: "100%", predictor });
    const { stats, ...reply } = await replyOf(
      engine,
      { tokens: PROMPT },
      { ...OPTIONS, maxTokens: 20 },
    );

    expect(reply.tokens).toEqual(all.tokens);
    expect(reply.logprobs).toEqual(all.logprobs);
    expect([predictor, "off"]).toContain(stats.predictor);
    expect(stats.prefetchIssued).toBeGreaterThan(0);
    expect(stats.prefetchUsed).toBeLessThanOrEqual(stats.prefetchIssued);
    expect(stats.prefetchRecall).toBeGreaterThan(0);
    expect(stats.prefetchRecall).toBeLessThanOrEqual(1);
  });

  test.for(Object.keys(evictionPolicies) as EvictionPolicyName[])(
    "the policy %s changes no bit",
    async (policy) => {
      await loadCold(engine, model.buffer);
      const all = await replyOf(engine, { tokens: PROMPT }, OPTIONS);
      await loadCold(engine, model.buffer, { gpuBudget: "37.5%", policy });
      const { stats, ...reply } = await replyOf(engine, { tokens: PROMPT }, OPTIONS);

      expect(reply.logprobs).toEqual(all.logprobs);
      expect(stats.policy).toBe(policy);
      expect(stats.expertMisses).toBeGreaterThan(all.stats.expertMisses);
    },
  );

  test("a predictor that does not know the model's routers is refused with those that do", async () => {
    const load = loadCold(engine, model.buffer, { predictor: "pre-attention" });

    await expect(load).rejects.toMatchObject({
      code: "bad-input",
      message: expect.stringContaining("next-layer"),
    });
  });
}
