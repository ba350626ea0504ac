import { afterAll, beforeAll, expect, test } from "vitest";
import type { Engine, EngineSource } from "../../src/engine/types.ts";
import type { LoadOptions } from "../../src/rpc/api.ts";
import { type CreateEngine, loadCold, replyOf } from "../helpers/engine.ts";
import {
  partNames,
  splitGguf,
  withDownAsTurned,
  withFusedGateUp,
  withSingleExperts,
  withTurnedDown,
} from "../helpers/gguf-layouts.ts";
import { tinyModel } from "../helpers/tiny-models.ts";
import { openReferenceModel } from "../reference/model.ts";

const SIZES = { hidden: 64, ffn: 32, heads: 2, kvHeads: 2, headDim: 32 } as const;
const PROMPT = [5, 17, 99, 3, 250, 4];

/** f32 in another order than f64's: see test/suites/parity.ts, which measured 5e-5. */
const LOGPROB_TOLERANCE = 2e-3;

/** All log-probabilities of a reply and of its prompt, which two runs of one model have alike to the last bit. */
export async function runLayout(on: Engine, from: EngineSource, options: LoadOptions = {}) {
  await loadCold(on, from, options);
  const reply = await replyOf(on, { tokens: PROMPT }, { maxTokens: 3, topLogprobs: 400 });
  const { tokens, logprobs } = reply;
  return { results: { tokens, logprobs, scores: (await on.score(PROMPT)).logprobs } };
}

/** What the same reply takes where its experts are there: nothing is computed twice. */
export async function warmStats(on: Engine) {
  const { stats } = await replyOf(on, { tokens: PROMPT }, { maxTokens: 3, topLogprobs: 400 });
  expect(stats.faults).toBe(0);
  return stats;
}

/** Defines the tests of models whose files have other layouts. */
export function testLayouts(createEngine: CreateEngine): void {
  let engine: Engine;
  beforeAll(() => {
    engine = createEngine();
  });
  afterAll(() => engine.dispose());

  test("a model in another layout has the results of the ordinary file, to the last bit", async () => {
    const model = tinyModel({ architecture: "llama", ...SIZES, experts: 8, format: "q8_0" });
    const parts = await splitGguf(model, [3, 7, 100]);
    const names = partNames("tiny", 3);
    const files = parts.map((part, index) => new File([part], names[index]!)).reverse();

    const { results: ordinary } = await runLayout(engine, model.buffer);

    const fused = await runLayout(engine, (await withFusedGateUp(model)).buffer);
    expect(fused.results, "gate and up in one tensor").toEqual(ordinary);
    const single = await runLayout(engine, (await withSingleExperts(model)).buffer);
    expect(single.results, "a tensor for each expert").toEqual(ordinary);
    const split = await runLayout(engine, files);
    expect(split.results, "in several files").toEqual(ordinary);
  });

  test.for(["f32", "q8_0"] as const)(
    "down projections stored by columns in %s are read as they are",
    async (format) => {
      const model = tinyModel({ architecture: "smallthinker", ...SIZES, ffn: 96, format });
      const turned = (await withTurnedDown(model)).buffer;
      const { results } = await runLayout(engine, turned, { gpuBudget: "50%" });

      const reference = await openReferenceModel(await withDownAsTurned(model));
      const rows = PROMPT.map((token) => logprobsOf(reference.run([token]).logits));
      for (const { token, logprob } of results.logprobs[0]!.top) {
        expect(Math.abs(logprob - rows.at(-1)![token]!)).toBeLessThan(LOGPROB_TOLERANCE);
      }
      for (const [index, score] of results.scores.entries()) {
        expect(Math.abs(score - rows[index]![PROMPT[index + 1]!]!)).toBeLessThan(LOGPROB_TOLERANCE);
      }
    },
  );
}

function logprobsOf(logits: ArrayLike<number>): Float64Array {
  const all = Float64Array.from(logits);
  const highest = Math.max(...all);
  const norm = Math.log(all.reduce((sum, logit) => sum + Math.exp(logit - highest), 0));
  return all.map((logit) => logit - highest - norm);
}
