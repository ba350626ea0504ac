import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine } from "../../src/engine/types.ts";
import { type CreateEngine, loadCold, replyOf } from "../helpers/engine.ts";
import { tinyModel } from "../helpers/tiny-models.ts";

const EXPERTS = 8;
const TOP_K = 2;
const PROMPT = { tokens: Array.from({ length: 41 }, (_, index) => (index * 37 + 5) % 300) };
const OPTIONS = { maxTokens: 12 };

const small = {
  hidden: 64,
  ffn: 64,
  heads: 2,
  kvHeads: 2,
  headDim: 32,
  experts: EXPERTS,
  topK: TOP_K,
};

/** Defines the tests that budgets change no bit. */
export function testBudgets(createEngine: CreateEngine): void {
  describe.for(["smallthinker", "qwen3moe"] as const)("budgets of %s", (architecture) => {
    let engine: Engine;
    let model: ArrayBuffer;

    beforeAll(() => {
      engine = createEngine();
      model = tinyModel({ ...small, architecture, format: "q8_0", layers: 3 }).buffer;
    });
    afterAll(() => engine.dispose());

    test("every budget gives the same tokens and log-probabilities, bit for bit", async () => {
      await loadCold(engine, model);
      const all = await replyOf(engine, PROMPT, { ...OPTIONS, topLogprobs: 3 });
      expect(all.tokens).toHaveLength(OPTIONS.maxTokens);
      expect(all.logprobs).toHaveLength(OPTIONS.maxTokens);

      for (const gpuBudget of ["50%", `${(100 * TOP_K) / EXPERTS}%`]) {
        await loadCold(engine, model, { gpuBudget });
        const paged = await replyOf(engine, PROMPT, { ...OPTIONS, topLogprobs: 3 });

        expect(paged.tokens, gpuBudget).toEqual(all.tokens);
        expect(paged.streamed, gpuBudget).toBe(all.streamed);
        expect(paged.logprobs, gpuBudget).toEqual(all.logprobs);
        expect(paged.stats.expertMisses, gpuBudget).toBeGreaterThan(all.stats.expertMisses);
        expect(paged.stats.gpuBytes, gpuBudget).toBeLessThan(all.stats.gpuBytes);
      }
    });

    test("the smallest budget in bytes works, and one byte less is refused with the number", async () => {
      const info = await engine.load(model, { fill: "off" }, {});
      const all = await replyOf(engine, PROMPT, OPTIONS);
      await loadCold(engine, model, { gpuBudget: info.minGpuBudgetBytes });
      const least = await replyOf(engine, PROMPT, OPTIONS);

      expect(least.tokens).toEqual(all.tokens);
      expect(least.stats.gpuBytes).toBeLessThanOrEqual(info.minGpuBudgetBytes);
      await expect(
        loadCold(engine, model, { gpuBudget: info.minGpuBudgetBytes - 1 }),
      ).rejects.toMatchObject({
        code: "budget-too-small",
        message: expect.stringContaining(String(info.minGpuBudgetBytes)),
      });
    });

    test("a budget that changes between tokens and during passes changes none", async () => {
      await loadCold(engine, model);
      const all = await replyOf(engine, PROMPT, OPTIONS);
      const tokens: number[] = [];
      const changes: Promise<unknown>[] = [];
      for await (const chunk of engine.generate(PROMPT, OPTIONS)) {
        tokens.push(...chunk.tokens);
        const gpu = ["25%", "100%", "50%"][tokens.length % 3]!;
        const change = engine.setBudget({ gpu });
        changes.push(change);
        if (tokens.length % 2 === 0) await change;
      }
      await Promise.all(changes);

      expect(tokens).toEqual(all.tokens);
      expect(engine.stats().gpuBytes).toBeLessThanOrEqual(engine.stats().gpuBudgetBytes);
    });

    test("changes of the budget that overlap, beside the start of a reply, change no token", async () => {
      await loadCold(engine, model, { fill: "background" });
      const all = await replyOf(engine, PROMPT, OPTIONS);
      const drags = ["25%", "75%", "50%", "100%", "25%"].map((gpu) => engine.setBudget({ gpu }));
      const dragged = await replyOf(engine, PROMPT, OPTIONS);
      await Promise.all(drags);

      expect(dragged.tokens).toEqual(all.tokens);
      await expect(engine.setBudget({ gpu: "1%" })).rejects.toMatchObject({
        code: "budget-too-small",
      });
      expect((await replyOf(engine, PROMPT, OPTIONS)).tokens).toEqual(all.tokens);
    });
  });
}
