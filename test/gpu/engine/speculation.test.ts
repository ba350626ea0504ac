import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createEngine } from "../../../src/engine/engine.ts";
import type { Engine } from "../../../src/engine/types.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import type { DraftSource } from "../../../src/speculation/drafter.ts";
import { promptLookup } from "../../../src/speculation/prompt-lookup.ts";
import { loadCold, replyOf } from "../../helpers/engine.ts";
import { drawSeed } from "../../helpers/random-cases.ts";
import { type TinyModelOptions, tinyModel } from "../../helpers/tiny-models.ts";

const small = { hidden: 64, ffn: 64, heads: 2, kvHeads: 2, headDim: 32, experts: 8, topK: 2 };
/** Tokens. */
const STRETCH = 10;

const OPTIONS = { maxTokens: 24, topLogprobs: 2 };

/** A prompt that repeats itself, so that there is something to look up: a tiny model's replies soon do, too. */
const PROMPT = {
  tokens: Array.from({ length: 40 }, (_, index) => ((index % 13) * 37 + 5) % 300),
};

/** Caches of every kind: plain, rings, latent ones, states of convolutions and scans. */
const MODELS: readonly TinyModelOptions[] = [
  { ...small, architecture: "smallthinker", format: "q4_0", layers: 3 },
  { ...small, architecture: "gpt-oss", format: "q8_0", window: 8 },
  { ...small, architecture: "deepseek2", format: "q8_0", headDim: 48, seed: 3 },
  { ...small, architecture: "lfm2moe", format: "q8_0" },
  { ...small, architecture: "granitehybrid", format: "q8_0", layers: 3 },
  { ...small, architecture: "llama", format: "q8_0", experts: 0 },
];

let engine: Engine;
beforeAll(() => {
  engine = createEngine({ gpu: navigator.gpu });
});
afterAll(() => engine.dispose());

/** A drafter that knows the reply, and is wrong in its first draft and now and then. */
function mostlyRight(reply: readonly number[], seed: number): DraftSource {
  const random = createRandom(seed);
  let known = -PROMPT.tokens.length;
  let first = true;
  return {
    push(tokens) {
      known += tokens.length;
    },
    draft(most) {
      const right = Math.min(most, first ? 1 : random.integer(most + 1));
      first = false;
      const tokens = reply.slice(known, known + right);
      // What follows a wrong token is as good as any.
      for (let i = right; i < most; i++) tokens.push((reply[known + i] ?? 7) ^ 1);
      return { tokens, evidence: 8 };
    },
  };
}

/** One that drafts in every other stretch of the reply, so that tokens alone are in flight between. */
function inStretches(source: DraftSource): DraftSource {
  let known = -PROMPT.tokens.length;
  return {
    push(tokens) {
      known += tokens.length;
      source.push(tokens);
    },
    draft(most) {
      const draft = source.draft(most);
      return Math.floor(known / STRETCH) % 2 === 0 ? { ...draft, tokens: [] } : draft;
    },
  };
}

describe.for(MODELS)("drafts for $architecture", (options) => {
  const model = tinyModel(options).buffer;

  test("change no bit of a reply, however many of them are right", async () => {
    const seed = drawSeed();
    console.info(`${options.architecture}: VITE_SEED=${seed} drafts the same again`);
    await loadCold(engine, model, { speculation: "prompt-lookup" });
    const plain = await replyOf(engine, PROMPT, { ...OPTIONS, speculation: "off" });
    // What the caches hold is what a conversation goes on from.
    const longer = { tokens: [...PROMPT.tokens, ...plain.tokens.slice(0, 5), 9, 8] };
    const fresh = await replyOf(engine, longer, { maxTokens: 4, speculation: "off" });
    const create = vi.spyOn(promptLookup, "create");
    try {
      for (const gpuBudget of options.experts === 0 ? ["100%"] : ["100%", "25%"]) {
        if (gpuBudget === "25%") {
          await loadCold(engine, model, { speculation: "prompt-lookup", gpuBudget });
        }
        create.mockReturnValueOnce(mostlyRight(plain.tokens, seed));
        const drafted = await replyOf(engine, PROMPT, OPTIONS);
        const continued = await replyOf(engine, longer, { maxTokens: 4, speculation: "off" });

        const { drafted: count, accepted, passes } = drafted.stats.speculation;
        expect(drafted.tokens, gpuBudget).toEqual(plain.tokens);
        expect(drafted.logprobs, gpuBudget).toEqual(plain.logprobs);
        expect(drafted.streamed, gpuBudget).toBe(plain.streamed);
        expect(accepted).toBeGreaterThan(0);
        expect(count).toBeGreaterThan(accepted);
        expect(passes).toBeLessThan(plain.tokens.length);
        if (gpuBudget === "25%") expect(drafted.stats.expertMisses).toBeGreaterThan(0);
        expect(continued.tokens, gpuBudget).toEqual(fresh.tokens);
      }
    } finally {
      create.mockRestore();
    }
  });

  test("change no token where others are in flight between them", async () => {
    const seed = drawSeed();
    console.info(`${options.architecture}: VITE_SEED=${seed} drafts the same again`);
    const settings = { maxTokens: 40 };
    await loadCold(engine, model, { speculation: "prompt-lookup", pacing: "tokens" });
    const plain = await replyOf(engine, PROMPT, { ...settings, speculation: "off" });
    const longer = { tokens: [...PROMPT.tokens, ...plain.tokens.slice(0, 5), 9, 8] };
    const fresh = await replyOf(engine, longer, { maxTokens: 4, speculation: "off" });
    const create = vi.spyOn(promptLookup, "create");
    try {
      create.mockReturnValueOnce(inStretches(mostlyRight(plain.tokens, seed)));
      const drafted = await replyOf(engine, PROMPT, settings);
      const continued = await replyOf(engine, longer, { maxTokens: 4, speculation: "off" });

      expect(drafted.tokens).toEqual(plain.tokens);
      expect(drafted.streamed).toBe(plain.streamed);
      expect(drafted.stats.speculation.accepted).toBeGreaterThan(0);
      expect(plain.stats.tokensInFlight).toBeGreaterThan(1.5);
      expect(drafted.stats.tokensInFlight).toBeGreaterThan(1.1);
      expect(continued.tokens).toEqual(fresh.tokens);
    } finally {
      create.mockRestore();
    }
  });
});
