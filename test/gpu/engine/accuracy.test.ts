import { afterAll, describe, expect, test, vi } from "vitest";
import { createEngine } from "../../../src/engine/engine.ts";
import { type Accuracy, accuracyOn } from "../../../src/formats/input/registry.ts";
import type { DraftSource } from "../../../src/speculation/drafter.ts";
import { promptLookup } from "../../../src/speculation/prompt-lookup.ts";
import { loadCold, replyOf } from "../../helpers/engine.ts";
import { type TinyModelOptions, tinyModel } from "../../helpers/tiny-models.ts";
import { unitDevice } from "../kernels/units.ts";

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
 * How far scores may be apart on average: measured 1e-1 in int8 and 8e-3 in f16, with room for other adapters' rounding and for
 * a choice of experts that turns. Kernels are held to derived bounds by their own tests.
 */
const TOLERANCES = { int8: 2e-1, f16: 2e-2 } as const satisfies Record<
  Exclude<Accuracy, "exact">,
  number
>;

/** What is not exact, and whether this browser's device has it. */
const INEXACT = (Object.keys(TOLERANCES) as (keyof typeof TOLERANCES)[]).map((accuracy) => ({
  accuracy,
  has: accuracyOn(accuracy, unitDevice) === accuracy,
}));

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

const NAMES = Object.keys(MODELS).flatMap((name) => INEXACT.map((each) => ({ name, ...each })));

describe.for(NAMES)("a model with $name, in $accuracy", ({ name, accuracy, has }) => {
  const model = tinyModel(MODELS[name]!).buffer;

  test("is near to exact, or exact where the device lacks it, and says so", async () => {
    const scores: number[][] = [];
    for (const wanted of ["exact", accuracy] as const) {
      const info = await engine.load(model, { accuracy: wanted, fill: "off" }, {});
      const { logprobs, stats } = await engine.score(TEXT);
      const got = has ? wanted : "exact";
      expect([info.accuracy, stats.accuracy]).toEqual([got, got]);
      scores.push([...logprobs]);
    }

    const [exact, other] = scores as [number[], number[]];
    const differences = exact.map((score, i) => Math.abs(score - other[i]!));
    const mean = differences.reduce((sum, each) => sum + each, 0) / exact.length;
    console.info(`${name}: scores in ${accuracy} differ by ${mean.toExponential(1)}`);
    if (has) expect(mean).toBeGreaterThan(0);
    else expect(mean).toBe(0);
    expect(mean).toBeLessThan(TOLERANCES[accuracy]);
  });

  test("gives the same bits at every budget, and with drafts", async ({ skip }) => {
    skip(!has, `this adapter does not compute in ${accuracy}`);
    const options = { maxTokens: 16, topLogprobs: 1 };
    await loadCold(engine, model, { accuracy, speculation: "prompt-lookup" });
    const whole = await replyOf(engine, { tokens: TEXT }, { ...options, speculation: "off" });
    const create = vi.spyOn(promptLookup, "create").mockReturnValueOnce(knowing(whole.tokens));
    const drafted = await replyOf(engine, { tokens: TEXT }, options);
    create.mockRestore();
    await loadCold(engine, model, { accuracy, gpuBudget: "50%" });
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
    message: 'accuracy is "int4"; it must be one of exact, int8, f16.',
  });
});
