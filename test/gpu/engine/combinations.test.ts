import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { commands } from "vitest/browser";
import type { LoadOptions, ModelInfo, SluiceEngine } from "../../../src/index.ts";
import { speculations } from "../../../src/speculation/registry.ts";
import {
  budgetChanges,
  type Change,
  memoryOptions,
  replyWith,
} from "../../helpers/combinations.ts";
import { drawSeed, runs } from "../../helpers/random-cases.ts";
import type { TinyModelOptions } from "../../helpers/tiny-models.ts";
import { connectEngine } from "../../helpers/worker-engine.ts";

/** Firefox takes longer, and what differs there is storage and the readback. */
const RUNS = runs(navigator.userAgent.includes("Firefox") ? 30 : 200);
const PROMPT = { tokens: [9, 310, 77, 520, 33, 1200, 641, 5, 88, 402, 1999, 64, 7, 310, 25, 90] };

/** The trained models of this repository, and a random one whose experts follow from token ids: every kind of router. */
const MODELS = [
  "test/models/sluice-tiny.gguf",
  "test/models/sluice-tiny-post-attention.gguf",
  "test/models/sluice-tiny-pre-gated.gguf",
  "test/models/sluice-tiny-decoupled.gguf",
  {
    architecture: "sluice",
    routerInput: "token",
    ...{ layers: 4, hidden: 64, ffn: 64, heads: 2, kvHeads: 2, headDim: 32 },
    ...{ experts: 16, topK: 4, vocab: 2048, format: "q8_0" },
  },
] satisfies (string | TinyModelOptions)[];

/** A model on a server that is slow, and what it says when all of it is resident. */
interface Known {
  readonly id: string;
  readonly url: string;
  readonly info: ModelInfo;
  readonly tokens: readonly number[];
}

let engine: SluiceEngine;
const known: Known[] = [];

beforeAll(async () => {
  engine = await connectEngine();
  for (const model of MODELS) {
    const { id, url } = await commands.serveModel(model);
    const info = await engine.load(url, { fill: "wait", diskBudget: 0 });
    known.push({ id, url, info, tokens: await replyWith(engine, PROMPT) });
  }
});

afterAll(async () => {
  await engine?.dispose();
  for (const { id } of known) await commands.stopServer(id);
});

/** Everything that must not matter. */
interface Combination {
  readonly model: number;
  readonly options: LoadOptions;
  readonly changes: readonly Change[];
  /** A second visit: what the first one left on disk is there. */
  readonly warm: boolean;
  readonly delayMs: number;
  readonly bytesPerSecond: number;
}

const combination: fc.Arbitrary<Combination> = fc.record({
  model: fc.integer({ min: 0, max: MODELS.length - 1 }),
  options: fc
    .tuple(memoryOptions, fc.constantFrom(undefined, ...speculations))
    .map(([options, speculation]) => ({
      ...options,
      ...(speculation !== undefined && speculation !== "mtp" && { speculation }),
    })),
  changes: budgetChanges,
  warm: fc.boolean(),
  delayMs: fc.constantFrom(0, 5, 20),
  bytesPerSecond: fc.constantFrom(4e6, 20e6, 1e9),
});

async function forgetAll(): Promise<void> {
  for (const { id, inUse } of (await engine.listStored()).models) {
    if (!inUse) await engine.deleteStored(id);
  }
}

test("no budget, policy, predictor, pacing, speculation or storage changes a token", {
  timeout: Math.max(900_000, 5_000 * RUNS),
}, async () => {
  const seed = drawSeed();
  console.info(`combinations: ${RUNS} runs; VITE_SEED=${seed} gives them again`);
  const seen = { warm: 0, changed: 0, prefetched: 0, fromDisk: 0 };
  await fc.assert(
    fc.asyncProperty(combination, async ({ model, options, changes, warm, ...speed }) => {
      const { id, url, tokens } = known[model]!;
      await commands.setServer(id, speed);
      if (!warm) await forgetAll();

      await engine.load(url, options);
      const got = await replyWith(engine, PROMPT, changes);

      const stats = await engine.stats();
      expect(got).toEqual(tokens);
      expect(stats.gpuBytes).toBeLessThanOrEqual(stats.gpuBudgetBytes);
      expect(stats.ramBytes).toBeLessThanOrEqual(stats.ramBudgetBytes);
      expect(stats.diskBytes).toBeLessThanOrEqual(stats.diskBudgetBytes);
      if (warm) seen.warm++;
      if (changes.length > 0) seen.changed++;
      if (stats.prefetchIssued > 0) seen.prefetched++;
      if (stats.loadsFromDisk > 0) seen.fromDisk++;
    }),
    { seed, numRuns: RUNS, endOnFailure: true },
  );
  // What never happened would not have been tested.
  for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(RUNS / 20);
});
