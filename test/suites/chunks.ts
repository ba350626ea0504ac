import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine } from "../../src/engine/types.ts";
import { type CreateEngine, loadCold, replyOf } from "../helpers/engine.ts";
import { type TinyModelOptions, tinyModel } from "../helpers/tiny-models.ts";
import { greatestDifference } from "../helpers/within.ts";

const TOKENS = Array.from({ length: 41 }, (_, index) => (index * 37 + 5) % 300);
const sizes = { hidden: 64, ffn: 64, heads: 2, kvHeads: 2, headDim: 32, experts: 8, topK: 2 };

/** One for each way to make queries and keys: of one token by what attends, of several before. */
const MODELS: readonly { readonly name: string; readonly form: TinyModelOptions }[] = [
  { name: "smallthinker", form: { architecture: "smallthinker" } },
  { name: "qwen3moe", form: { architecture: "qwen3moe" } },
  {
    name: "deepseek2 with compressed queries",
    form: {
      ...{ architecture: "deepseek2", headDim: 48, seed: 3 },
      latent: { rank: 64, queryRank: 64, valueDim: 32, isSplit: true },
    },
  },
];

/**
 * Defines the tests of the passes that a prompt is cut into.
 * @param tolerance how far log-probabilities may be from those of another cut; 0: not by a bit
 */
export function testChunks(createEngine: CreateEngine, tolerance = 0): void {
  describe.for(MODELS)("prompts of $name", ({ form }) => {
    let engine: Engine;

    beforeAll(() => {
      engine = createEngine();
    });
    afterAll(() => engine.dispose());

    test(`the passes that a prompt is cut into move its logits by ${tolerance} at most`, async () => {
      const model = tinyModel({ ...sizes, ...form, format: "q4_0", layers: 3 }).buffer;
      const best = async (length: number) => {
        const prompt = { tokens: TOKENS.slice(0, length) };
        const { logprobs } = await replyOf(engine, prompt, { maxTokens: 1, topLogprobs: 5 });
        const { top } = logprobs[0]!;
        return { tokens: top.map((each) => each.token), logprobs: top.map((each) => each.logprob) };
      };
      await loadCold(engine, model);
      const whole = await best(TOKENS.length);

      // Each prompt begins with the one before, whose passes are kept.
      for (const lengths of [
        [1, 2, 20, 41],
        [7, 31, 40, 41],
      ]) {
        await loadCold(engine, model);
        let last = whole;
        for (const length of lengths) last = await best(length);

        expect(last.tokens, lengths.join()).toEqual(whole.tokens);
        const difference = greatestDifference(last.logprobs, whole.logprobs);
        expect(difference, lengths.join()).toBeLessThanOrEqual(tolerance);
      }
    });
  });
}
