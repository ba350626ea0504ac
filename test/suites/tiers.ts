import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine } from "../../src/engine/types.ts";
import { type CreateEngine, loadCold, replyOf } from "../helpers/engine.ts";
import { tinyModel } from "../helpers/tiny-models.ts";
import { watchedSource } from "../helpers/watched-source.ts";

const EXPERTS = 8;
const TOP_K = 2;
const LAYERS = 3;
const HIDDEN = 64;
const FFN = 64;
const LEAST = `${(100 * TOP_K) / EXPERTS}%`;

/** Gate, up and down of an expert in Q8_0, whose blocks of 32 weights take 34 bytes. */
const EXPERT_BYTES = (3 * HIDDEN * FFN * 34) / 32;

const MODEL = tinyModel({
  ...{ architecture: "qwen3moe", layers: LAYERS, experts: EXPERTS, topK: TOP_K, format: "q8_0" },
  ...{ hidden: HIDDEN, ffn: FFN, heads: 2, kvHeads: 2, headDim: 32 },
}).buffer;

const OPTIONS = { maxTokens: 10, topLogprobs: 0 };
const prompt = (first: number) => ({
  tokens: Array.from({ length: 9 }, (_, index) => (index * 37 + first) % 300),
});

/** Defines the tests of the tiers that experts are brought from: slots, RAM, and the file. */
export function testTiers(createEngine: CreateEngine): void {
  let engine: Engine;
  beforeAll(() => {
    engine = createEngine();
  });
  afterAll(() => engine.dispose());

  /** Loads the model with slots for one token; what is read from then on counts. */
  async function load(ramBudget: string | number) {
    const source = watchedSource(MODEL);
    await loadCold(engine, source, { gpuBudget: LEAST, ramBudget });
    source.readBytes = 0;
    return source;
  }

  describe("experts that have no slot", () => {
    test("are read from the file each time where RAM may keep none", async () => {
      const source = await load(0);

      const { stats } = await replyOf(engine, prompt(5), OPTIONS);

      expect(stats.loadsFromSource).toBeGreaterThan(LAYERS * EXPERTS);
      expect(stats.loadsFromSource).toBe(stats.expertMisses);
      expect(stats.loadsFromRam).toBe(0);
      expect(stats.ramBytes).toBe(0);
      expect(source.readBytes).toBe(stats.loadsFromSource * EXPERT_BYTES);
      expect(stats.bytesFromDisk).toBe(source.readBytes);
      expect(stats.gpuBytes).toBeLessThanOrEqual(stats.gpuBudgetBytes);
    });

    test("are read from the file once where RAM may keep all", async () => {
      const source = await load("100%");

      const replies = [];
      for (const first of [5, 6, 7]) replies.push(await replyOf(engine, prompt(first), OPTIONS));

      const fromSource = replies.map(({ stats }) => stats.loadsFromSource);
      expect(fromSource[0]).toBeGreaterThan(0);
      expect(fromSource.reduce((a, b) => a + b)).toBeLessThanOrEqual(LAYERS * EXPERTS);
      expect(source.readBytes).toBeLessThanOrEqual(LAYERS * EXPERTS * EXPERT_BYTES);
      const last = replies.at(-1)!.stats;
      expect(last.loadsFromRam).toBeGreaterThan(0);
      expect(last.ramBytes).toBeLessThanOrEqual(last.ramBudgetBytes);
      expect(engine.expertMap().below.filter((tier) => tier === 2).length).toBeGreaterThan(0);
    });

    test("come from both where RAM may keep some, and change no bit", async () => {
      await load("100%");
      const all = await replyOf(engine, prompt(5), OPTIONS);
      for (const budget of ["20%", "60%"]) {
        const source = await load(budget);
        const some = await replyOf(engine, prompt(5), OPTIONS);

        expect(some.tokens, budget).toEqual(all.tokens);
        expect(some.logprobs, budget).toEqual(all.logprobs);
        expect(some.stats.ramBytes, budget).toBeGreaterThan(0);
        expect(some.stats.ramBytes, budget).toBeLessThanOrEqual(some.stats.ramBudgetBytes);
        expect(some.stats.loadsFromRam, budget).toBeGreaterThan(0);
        expect(source.readBytes, budget).toBeGreaterThan(LAYERS * EXPERTS * EXPERT_BYTES);
      }
    });
  });

  test("what RAM has let go is read from the file again", async () => {
    const source = await load("100%");
    const first = await replyOf(engine, prompt(5), OPTIONS);
    const budgets = await engine.setBudget({ ram: 0 });
    source.readBytes = 0;
    const again = await replyOf(engine, prompt(5), OPTIONS);

    expect(budgets.ramBudgetBytes).toBe(0);
    expect(again.tokens).toEqual(first.tokens);
    expect(again.stats.loadsFromRam).toBe(0);
    expect(source.readBytes).toBeGreaterThan(0);
  });

  test("once all slots are filled, nothing is read", async () => {
    const source = watchedSource(MODEL);
    await engine.load(source, { fill: "wait" }, {});
    source.readBytes = 0;

    const { stats } = await replyOf(engine, prompt(5), OPTIONS);

    expect(stats.residentExperts).toBe(LAYERS * EXPERTS);
    expect(stats.expertMisses).toBe(0);
    expect(source.readBytes).toBe(0);
    expect([...new Set(engine.expertMap().state)]).toEqual([2]);
  });
}
