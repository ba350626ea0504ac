import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createEngine } from "../../../src/engine/engine.ts";
import type { Engine } from "../../../src/engine/types.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import type { DraftSource } from "../../../src/speculation/drafter.ts";
import { ownBlock } from "../../../src/speculation/own-block.ts";
import { loadCold, replyOf } from "../../helpers/engine.ts";
import { drawSeed } from "../../helpers/random-cases.ts";
import { rewritten } from "../../helpers/rewritten.ts";
import { type TinyModelOptions, tinyModel } from "../../helpers/tiny-models.ts";
import { openReferenceModel } from "../../reference/model.ts";

const OPTIONS = { maxTokens: 20 };
const PROMPT = { tokens: Array.from({ length: 37 }, (_, index) => (index * 37 + 5) % 300) };

const settings = {
  architecture: "bailingmoe2",
  ...{ hidden: 64, ffn: 64, heads: 2, kvHeads: 2, headDim: 32 },
  ...{ experts: 8, topK: 2, layers: 2, predicts: true, seed: 6 },
} satisfies TinyModelOptions;
const model = tinyModel(settings);

let engine: Engine;
beforeAll(() => {
  engine = createEngine({ gpu: navigator.gpu });
});
afterAll(() => engine.dispose());

/** Drafts what the reply will be, wrong now and then, and notes what the model's block would have drafted. */
function watching(reply: readonly number[], noted: Map<number, number>, seed: number): DraftSource {
  const random = createRandom(seed);
  let known = -PROMPT.tokens.length;
  return {
    push(tokens, guess) {
      known += tokens.length;
      if (guess !== undefined) noted.set(known, guess);
    },
    draft(most) {
      const right = random.integer(Math.min(most, 3) + 1);
      const tokens = reply.slice(known, known + right);
      if (right < most) tokens.push((reply[known + right] ?? 7) ^ 1);
      return { tokens, evidence: 8 };
    },
  };
}

/**
 * A model in which a token follows from the one before alone, and whose block has the same rule: attention and experts
 * add nothing, and the block takes the embedding of the token that it is given.
 */
function knowingItself(): Promise<Uint8Array<ArrayBuffer>> {
  const { hidden, layers } = settings;
  return rewritten(model, (name, shape, old) => {
    const size = shape.reduce((a, b) => a * b, 1);
    if (/attn_output|ffn_down/.test(name)) return new Float32Array(size);
    if (name.endsWith("enorm.weight")) return new Float32Array(size).fill(1);
    if (name === `blk.${layers}.layer_output_norm.weight`) return old("output_norm.weight");
    if (!name.endsWith("eh_proj.weight")) return undefined;
    const matrix = new Float32Array(size);
    for (let row = 0; row < hidden; row++) matrix[row * 2 * hidden + row] = 1;
    return matrix;
  });
}

describe("the block ahead of bailingmoe2", () => {
  test("predicts what an f64 reference does, whatever was drafted wrongly before", async () => {
    const seed = drawSeed();
    console.info(`VITE_SEED=${seed} drafts the same again`);
    await loadCold(engine, model.buffer, { speculation: "mtp" });
    const plain = await replyOf(engine, PROMPT, { ...OPTIONS, speculation: "off" });
    const noted = new Map<number, number>();
    const create = vi.spyOn(ownBlock, "create");
    create.mockReturnValueOnce(watching(plain.tokens, noted, seed));
    await loadCold(engine, model.buffer, { speculation: "mtp", gpuBudget: "25%" });
    const drafted = await replyOf(engine, PROMPT, OPTIONS);
    create.mockRestore();

    expect(drafted.tokens).toEqual(plain.tokens);
    expect(drafted.stats.speculation.accepted).toBeGreaterThan(0);
    expect(noted.size).toBeGreaterThan(5);
    for (const [known, guess] of noted) {
      const text = [...PROMPT.tokens, ...plain.tokens.slice(0, known)];
      const reference = await openReferenceModel(model, { ahead: true });
      reference.run(text.slice(0, -1));
      const logits = reference.runAhead(text.slice(1));
      // f32 and f64 may differ where two tokens are about equally probable.
      expect(logits[guess], `after ${known} tokens`).toBeGreaterThan(Math.max(...logits) - 1e-3);
    }
  });

  test("that is right has its drafts accepted", async () => {
    const knowing = await knowingItself();
    await loadCold(engine, knowing.buffer, { speculation: "mtp" });
    const plain = await replyOf(engine, PROMPT, { ...OPTIONS, speculation: "off" });
    const drafted = await replyOf(engine, PROMPT, OPTIONS);

    const { passes, accepted } = drafted.stats.speculation;
    expect(drafted.tokens).toEqual(plain.tokens);
    expect(accepted).toBe(passes);
    expect(accepted).toBeGreaterThanOrEqual(Math.floor((plain.tokens.length - 1) / 2) - 1);
  });

  test("that is random changes no token, and soon rests", async () => {
    await loadCold(engine, model.buffer, { speculation: "mtp" });
    const plain = await replyOf(engine, PROMPT, { ...OPTIONS, topLogprobs: 1, speculation: "off" });
    const drafted = await replyOf(engine, PROMPT, { ...OPTIONS, topLogprobs: 1 });

    expect(drafted.tokens).toEqual(plain.tokens);
    expect(drafted.logprobs).toEqual(plain.logprobs);
    expect(drafted.stats.speculation.drafter).toBe("mtp");
    expect(drafted.stats.speculation.drafted).toBeGreaterThan(0);
    expect(drafted.stats.speculation.drafted).toBeLessThan(OPTIONS.maxTokens / 2);
  });

  test("is neither loaded nor run unless asked for", async () => {
    const { predicts: _, ...without } = settings;
    await loadCold(engine, tinyModel(without).buffer);
    const bare = await replyOf(engine, PROMPT, OPTIONS);
    await loadCold(engine, model.buffer);
    const present = await replyOf(engine, PROMPT, OPTIONS);

    expect(present.tokens).toEqual(bare.tokens);
    expect(present.stats.gpuBytes).toBe(bare.stats.gpuBytes);
    expect(present.stats.totalExperts).toBe(bare.stats.totalExperts);
    expect(present.stats.speculation).toMatchObject({ drafter: "off", reason: "not asked for" });
  });

  test("is asked for in vain of a file that does not have it", async () => {
    const { predicts: _, ...without } = settings;
    await expect(
      loadCold(engine, tinyModel(without).buffer, { speculation: "mtp" }),
    ).rejects.toMatchObject({
      code: "unsupported-model",
      message: expect.stringContaining("no block that predicts further tokens"),
    });
  });
});
