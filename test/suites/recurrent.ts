import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine } from "../../src/engine/types.ts";
import { type CreateEngine, loadCold, replyOf } from "../helpers/engine.ts";
import { tinyModel } from "../helpers/tiny-models.ts";
import { watchedSource } from "../helpers/watched-source.ts";

const PROMPT = Array.from({ length: 37 }, (_, index) => (index * 37 + 5) % 300);
const EXPERTS = 8;
const TOP_K = 2;
const OPTIONS = { maxTokens: 6, topLogprobs: 0 };

/** Mamba 2, attention, Mamba 2, each with experts: a state lies before and behind every router. */
const model = tinyModel({
  ...{ architecture: "granitehybrid", layers: 3, experts: EXPERTS, topK: TOP_K, format: "q8_0" },
  ...{ hidden: 64, ffn: 64, heads: 2, kvHeads: 2, headDim: 32, contextTokens: 128 },
}).buffer;

/** Defines the tests of recurrent states: they are advanced once a token, and never go back. */
export function testRecurrentStates(createEngine: CreateEngine): void {
  let engine: Engine;
  beforeAll(() => {
    engine = createEngine();
  });
  afterAll(() => engine.dispose());

  describe("a recurrent state", () => {
    test.for(["adaptive", "pass", "layer"] as const)(
      "is advanced once for each token, whatever faults and is read early (pacing %s)",
      async (pacing) => {
        const info = await engine.load(model, { fill: "off" }, {});
        const all = await replyOf(engine, { tokens: PROMPT }, OPTIONS);

        await loadCold(engine, model, { gpuBudget: info.minGpuBudgetBytes, pacing });
        const least = await replyOf(engine, { tokens: PROMPT }, OPTIONS);

        expect(least.stats.faults).toBeGreaterThan(0);
        expect(least.tokens).toEqual(all.tokens);
        expect(least.logprobs).toEqual(all.logprobs);
      },
    );

    test("goes on where a conversation does", async () => {
      await loadCold(engine, model);
      const first = await replyOf(engine, { tokens: PROMPT }, OPTIONS);
      const longer = { tokens: [...PROMPT, ...first.tokens, 7, 8] };
      const continued = await replyOf(engine, longer, OPTIONS);

      await loadCold(engine, model);
      const fresh = await replyOf(engine, longer, OPTIONS);

      // Tokens that are computed again use experts again.
      const uses = ({ stats }: typeof fresh) => stats.expertHits + stats.expertMisses;
      expect(uses(continued)).toBeLessThan(uses(fresh));
      expect(continued.tokens).toEqual(fresh.tokens);
    });

    test("starts anew where a conversation takes another turn", async () => {
      const other = { tokens: [...PROMPT, 9, 9, 9] };
      await loadCold(engine, model);
      const fresh = await replyOf(engine, other, OPTIONS);

      await replyOf(engine, { tokens: PROMPT }, OPTIONS);
      const turned = await replyOf(engine, other, OPTIONS);

      expect(turned.tokens).toEqual(fresh.tokens);
      expect(turned.logprobs).toEqual(fresh.logprobs);
    });

    test("starts anew after a pass that was aborted half-way", async () => {
      const source = watchedSource(model);
      await loadCold(engine, source, { gpuBudget: `${(100 * TOP_K) / EXPERTS}%`, ramBudget: 0 });
      const first = await replyOf(engine, { tokens: PROMPT }, OPTIONS);
      const longer = { tokens: [...PROMPT, ...first.tokens, 7, 8] };
      const controller = new AbortController();
      source.before = () => controller.abort();
      const aborted = await replyOf(engine, longer, OPTIONS, controller.signal);
      source.before = () => {};
      const again = await replyOf(engine, longer, OPTIONS);

      await loadCold(engine, model);
      const fresh = await replyOf(engine, longer, OPTIONS);

      expect(aborted.finishReason).toBe("aborted");
      expect(again.tokens).toEqual(fresh.tokens);
      expect(again.logprobs).toEqual(fresh.logprobs);
    });
  });
}
