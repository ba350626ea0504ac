import { afterAll, describe, expect, test, vi } from "vitest";
import { createEngine } from "../../../src/engine/engine.ts";
import { accuracies } from "../../../src/formats/accuracy.ts";
import type { DraftSource } from "../../../src/speculation/drafter.ts";
import { promptLookup } from "../../../src/speculation/prompt-lookup.ts";
import { loadCold, replyOf } from "../../helpers/engine.ts";
import { type TinyModelOptions, tinyModel } from "../../helpers/tiny-models.ts";

/** Shared and routed experts, all in blocks. */
const MODEL: TinyModelOptions = {
  ...{ architecture: "qwen2moe", format: "q8_0", layers: 2, experts: 4, topK: 2 },
  ...{ hidden: 64, ffn: 64, heads: 4, kvHeads: 2, headDim: 32 },
};

/** All of it, and with matrices beside others that have no blocks. */
const MODELS: Readonly<Record<string, TinyModelOptions>> = {
  "all of it in blocks": MODEL,
  "some in numbers": {
    ...MODEL,
    formats: {
      "blk.0.attn_k.weight": "bf16",
      "blk.0.ffn_down_shexp.weight": "f32",
      "blk.1.ffn_up_exps.weight": "f16",
      "blk.1.ffn_gate_shexp.weight": "f32",
    },
  },
  "latent attention": {
    ...{ architecture: "deepseek2", format: "q8_0", seed: 3, hidden: 64, ffn: 64 },
    ...{ heads: 2, headDim: 48, experts: 8, topK: 2 },
    formats: { "blk.0.attn_kv_a_mqa.weight": "f32" },
  },
};

/** Two passes of a prompt. */
const TEXT = Array.from({ length: 40 }, (_, index) => (index * 37 + 5) % 300);

/**
 * How far scores may be apart on average: measured 9e-2, with room for other adapters' rounding and for a choice of
 * experts that turns. Kernels are held to derived bounds by their own tests.
 */
const TOLERANCE = 2e-1;

/** A drafter that knows the reply. */
function knowing(reply: readonly number[]): DraftSource {
  let known = -TEXT.length;
  return {
    push(tokens) {
      known += tokens.length;
    },
    draft: (most) => ({ tokens: reply.slice(known, known + most), evidence: 8 }),
  };
}

const engine = createEngine({ gpu: navigator.gpu });
afterAll(() => engine.dispose());

describe.for(Object.keys(MODELS))("a model with %s", (name) => {
  const model = tinyModel(MODELS[name]!).buffer;

  test("in int8 is near to exact and says so", async () => {
    const scores: number[][] = [];
    for (const accuracy of accuracies) {
      const info = await engine.load(model, { accuracy, fill: "off" }, {});
      const { logprobs, stats } = await engine.score(TEXT);
      expect([info.accuracy, stats.accuracy]).toEqual([accuracy, accuracy]);
      scores.push([...logprobs]);
    }

    const [exact, int8] = scores as [number[], number[]];
    const differences = exact.map((score, i) => Math.abs(score - int8[i]!));
    const mean = differences.reduce((sum, each) => sum + each, 0) / exact.length;
    console.info(`${name}: scores in int8 differ by ${mean.toExponential(1)}`);
    expect(mean).toBeGreaterThan(0);
    expect(mean).toBeLessThan(TOLERANCE);
  });

  test("in int8 gives the same bits at every budget, and with drafts", async () => {
    const options = { maxTokens: 16, topLogprobs: 1 };
    await loadCold(engine, model, { accuracy: "int8", speculation: "prompt-lookup" });
    const whole = await replyOf(engine, { tokens: TEXT }, { ...options, speculation: "off" });
    const create = vi.spyOn(promptLookup, "create").mockReturnValueOnce(knowing(whole.tokens));
    const drafted = await replyOf(engine, { tokens: TEXT }, options);
    create.mockRestore();
    await loadCold(engine, model, { accuracy: "int8", gpuBudget: "50%" });
    const half = await replyOf(engine, { tokens: TEXT }, options);

    expect(drafted.stats.speculation.accepted).toBeGreaterThan(0);
    for (const reply of [drafted, half]) {
      expect(reply.tokens).toEqual(whole.tokens);
      expect(reply.logprobs).toEqual(whole.logprobs);
    }
  });
});

test("exact is the default, and what is neither is refused", async () => {
  const model = tinyModel({ ...MODEL, layers: 1 }).buffer;
  const info = await engine.load(model, { fill: "off" }, {});

  expect(info.accuracy).toBe("exact");
  await expect(engine.load(model, { accuracy: "int4" as never }, {})).rejects.toMatchObject({
    code: "bad-input",
    message: 'accuracy is "int4"; it must be one of exact, int8.',
  });
});
