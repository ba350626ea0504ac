import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine } from "../../src/engine/types.ts";
import { type CreateEngine, loadCold, replyOf } from "../helpers/engine.ts";
import { tinyModel } from "../helpers/tiny-models.ts";

const TOKENS = Array.from({ length: 41 }, (_, index) => (index * 37 + 5) % 300);
const sizes = { hidden: 64, ffn: 64, heads: 2, kvHeads: 2, headDim: 32, experts: 8, topK: 2 };

/** Defines the tests that the passes of a prompt change no bit. */
export function testChunks(createEngine: CreateEngine): void {
  describe.for(["smallthinker", "qwen3moe"] as const)("prompts of %s", (architecture) => {
    let engine: Engine;

    beforeAll(() => {
      engine = createEngine();
    });
    afterAll(() => engine.dispose());

    test("the passes that a prompt is cut into change no bit of its logits", async () => {
      const model = tinyModel({ ...sizes, architecture, format: "q4_0", layers: 3 }).buffer;
      const logprobs = async (length: number) => {
        const prompt = { tokens: TOKENS.slice(0, length) };
        const { logprobs } = await replyOf(engine, prompt, { maxTokens: 1, topLogprobs: 5 });
        return logprobs;
      };
      await loadCold(engine, model);
      const whole = await logprobs(TOKENS.length);

      // Each prompt begins with the one before, whose passes are kept.
      for (const lengths of [
        [1, 2, 20, 41],
        [7, 31, 40, 41],
      ]) {
        await loadCold(engine, model);
        let last: unknown;
        for (const length of lengths) last = await logprobs(length);

        expect(last, lengths.join()).toEqual(whole);
      }
    });
  });
}
