import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { LoadOptions } from "../../../src/rpc/api.ts";
import {
  budgetChanges,
  type Change,
  memoryOptions,
  replyWith,
} from "../../helpers/combinations.ts";
import { createOnnxEngine } from "../../helpers/engine.ts";
import { drawSeed, runs } from "../../helpers/random-cases.ts";
import { type TinyModelOptions, tinyModel } from "../../helpers/tiny-models.ts";
import { watchedSource } from "../../helpers/watched-source.ts";

const RUNS = runs(40);
const PROMPT = { tokens: [9, 310, 77, 20, 33, 200, 141, 5, 88, 302, 199, 64, 7, 310, 25, 90] };

const SIZES: Omit<TinyModelOptions, "architecture"> = {
  ...{ layers: 3, hidden: 64, ffn: 64, heads: 2, kvHeads: 2, headDim: 32 },
  ...{ experts: 16, topK: 4, format: "q4_0" },
};

/** Every kind of router; layers that share a pool, and layers with states. */
const MODELS: readonly TinyModelOptions[] = [
  { architecture: "smallthinker", ...SIZES },
  { architecture: "qwen3moe", ...SIZES },
  { architecture: "sluice", ...SIZES, routerInput: "previous-layer" },
  { architecture: "sluice", ...SIZES, routerInput: "decoupled" },
  { architecture: "sluice", ...SIZES, routerInput: "token" },
  { architecture: "granitehybrid", ...SIZES },
];

/** Everything that must not matter. */
interface Combination {
  readonly model: number;
  readonly options: LoadOptions;
  readonly changes: readonly Change[];
  /** Each read takes as long as the next of these says, in turn. */
  readonly delaysMs: readonly number[];
}

const combination: fc.Arbitrary<Combination> = fc.record({
  model: fc.integer({ min: 0, max: MODELS.length - 1 }),
  options: memoryOptions,
  changes: budgetChanges,
  delaysMs: fc.array(fc.constantFrom(0, 0, 0, 1, 3), { minLength: 1, maxLength: 7 }),
});

/** What failed once: experts left RAM while the ones before them were computed. */
const FOUND: readonly Combination[] = [
  {
    model: 2,
    options: {
      ...{ gpuBudget: "31.25%", ramBudget: "60%", diskBudget: "20%" },
      ...{ policy: "lfu-decayed", pacing: "pass", fill: "off" },
    },
    changes: [{ after: 2, budgets: { gpu: "62.5%", disk: "100%" } }],
    delaysMs: [0],
  },
];

const engine = createOnnxEngine();
const known: { readonly bytes: ArrayBuffer; readonly tokens: readonly number[] }[] = [];

beforeAll(async () => {
  for (const options of MODELS) {
    const bytes = tinyModel(options).buffer;
    await engine.load(bytes, { fill: "wait" }, {});
    known.push({ bytes, tokens: await replyWith(engine, PROMPT) });
  }
});
afterAll(() => engine.dispose());

test("no budget, policy, predictor, pacing or order of arrival changes a token", async () => {
  const seed = drawSeed();
  console.info(`combinations: ${RUNS} runs; VITE_SEED=${seed} gives them again`);
  const seen = { changed: 0, prefetched: 0, missed: 0, fromRam: 0 };
  await fc.assert(
    fc.asyncProperty(combination, async ({ model, options, changes, delaysMs }) => {
      const { bytes, tokens } = known[model]!;
      const source = watchedSource(bytes);
      let reads = 0;
      source.before = async () => {
        const delay = delaysMs[reads++ % delaysMs.length]!;
        if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
      };
      await engine.load(source, options, {});

      expect(await replyWith(engine, PROMPT, changes)).toEqual(tokens);

      const stats = engine.stats();
      expect(stats.gpuBytes).toBeLessThanOrEqual(stats.gpuBudgetBytes);
      expect(stats.ramBytes).toBeLessThanOrEqual(stats.ramBudgetBytes);
      if (changes.length > 0) seen.changed++;
      if (stats.prefetchIssued > 0) seen.prefetched++;
      if (stats.expertMisses > 0) seen.missed++;
      if (stats.loadsFromRam > 0) seen.fromRam++;
    }),
    { seed, numRuns: RUNS, endOnFailure: true, examples: FOUND.map((each) => [each]) },
  );
  // What never happened would not have been tested.
  for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(RUNS / 20);
});
