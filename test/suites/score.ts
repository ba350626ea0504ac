import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine } from "../../src/engine/types.ts";
import { type CreateEngine, loadCold, replyOf } from "../helpers/engine.ts";
import { type TinyModelOptions, tinyModel } from "../helpers/tiny-models.ts";

const EXPERTS = 8;
const TOP_K = 2;
/** Passes of 32, 32 and 1 token; the last token is only scored. */
const TEXT = Array.from({ length: 66 }, (_, index) => (index * 37 + 5) % 300);

/**
 * A reply computes one token a pass and sums in f64 what the GPU sums in f32: both near 1e-5 for logits that spread by 3,
 * as against llama.cpp (test/suites/parity.ts).
 */
const TOLERANCE = 1e-4;

const small = { hidden: 64, ffn: 64, heads: 2, kvHeads: 2, headDim: 32, topK: TOP_K } as const;

const MODELS: Record<string, TinyModelOptions> = {
  smallthinker: { architecture: "smallthinker" },
  qwen3moe: { architecture: "qwen3moe" },
  olmoe: { architecture: "olmoe" },
  mixtral: { architecture: "llama" },
  granitehybrid: { architecture: "granitehybrid" },
  "previous-layer": { architecture: "sluice", routerInput: "previous-layer" },
  decoupled: { architecture: "sluice", routerInput: "decoupled" },
  token: { architecture: "sluice", routerInput: "token" },
};

/** Defines the tests of scores. */
export function testScores(createEngine: CreateEngine): void {
  let engine: Engine;
  beforeAll(() => {
    engine = createEngine();
  });
  afterAll(() => engine.dispose());

  describe.for(Object.keys(MODELS))("scores of %s", (name) => {
    const model = tinyModel({
      ...small,
      ...MODELS[name]!,
      experts: EXPERTS,
      format: "q8_0",
    }).buffer;

    test("are what a reply says of the same tokens", async () => {
      await loadCold(engine, model);
      const prompt = TEXT.slice(0, 20);
      const reply = await replyOf(engine, { tokens: prompt }, { maxTokens: 30, topLogprobs: 0 });

      const { logprobs } = await engine.score([...prompt, ...reply.tokens]);

      const said = reply.logprobs.map(({ logprob }) => logprob);
      expect(said.length).toBeGreaterThan(3);
      const scored = logprobs.slice(prompt.length - 1);
      expect(scored).toHaveLength(said.length);
      for (const [index, logprob] of said.entries()) {
        expect(Math.abs(scored[index]! - logprob)).toBeLessThan(TOLERANCE);
      }
    });

    test("are the same bits at every budget, and within it", async () => {
      const info = await engine.load(model, { fill: "off" }, {});
      const all = await engine.score(TEXT);
      expect(all.logprobs).toHaveLength(TEXT.length - 1);
      expect(all.logprobs.every((logprob) => logprob < 0)).toBe(true);

      for (const gpuBudget of ["50%", info.minGpuBudgetBytes]) {
        for (const pacing of ["adaptive", "pass", "layer"] as const) {
          await loadCold(engine, model, { gpuBudget, pacing });
          const { logprobs, stats } = await engine.score(TEXT);

          expect(logprobs, `${gpuBudget}, ${pacing}`).toEqual(all.logprobs);
          expect(stats.expertMisses).toBeGreaterThan(all.stats.expertMisses);
          if (gpuBudget !== "50%") expect(stats.gpuBytes).toBeLessThanOrEqual(gpuBudget as number);
        }
      }
    });
  });

  describe("score", () => {
    const model = tinyModel({ ...small, architecture: "smallthinker", contextTokens: 128 }).buffer;

    test("says the same again, after a reply and during changes of the budget", async () => {
      await loadCold(engine, model);
      const { logprobs } = await engine.score(TEXT);
      const reply = await replyOf(engine, { tokens: TEXT.slice(0, 40) }, { maxTokens: 4 });
      const changes = ["25%", "75%", "50%"].map((gpu) => engine.setBudget({ gpu }));

      expect((await engine.score(TEXT)).logprobs).toEqual(logprobs);
      await Promise.all(changes);
      const again = await replyOf(engine, { tokens: TEXT.slice(0, 40) }, { maxTokens: 4 });
      expect(again.tokens).toEqual(reply.tokens);
    });

    test("fills the context and no more", async () => {
      await loadCold(engine, model, { contextTokens: 40 });

      expect((await engine.score(TEXT.slice(0, 40))).logprobs).toHaveLength(39);
      await expect(engine.score(TEXT.slice(0, 41))).rejects.toMatchObject({ code: "context-full" });
    });

    test.for([[[]], [[1]], [[1, 320]], [[1, -1]], [[1, 1.5]]])("refuses %o", async ([tokens]) => {
      await loadCold(engine, model);

      await expect(engine.score(tokens as number[])).rejects.toMatchObject({ code: "bad-input" });
    });

    test("stops when its signal fires, and can start again", async () => {
      await loadCold(engine, model, { gpuBudget: "25%" });
      const controller = new AbortController();
      const scoring = engine.score(TEXT, controller.signal);
      await expect(engine.score(TEXT)).rejects.toMatchObject({ code: "engine-state" });
      controller.abort();

      await expect(scoring).rejects.toMatchObject({ code: "aborted" });
      expect((await engine.score(TEXT)).logprobs).toHaveLength(TEXT.length - 1);
    });
  });
}
