import { afterAll, beforeAll, expect, test } from "vitest";
import type { Engine } from "../../src/engine/types.ts";
import { SluiceError } from "../../src/errors.ts";
import { type CreateEngine, loadCold, replyOf } from "../helpers/engine.ts";
import { tinyModel } from "../helpers/tiny-models.ts";
import { watchedSource } from "../helpers/watched-source.ts";

const MODEL = tinyModel({
  ...{ architecture: "smallthinker", layers: 3, experts: 8, topK: 2, format: "q8_0" },
  ...{ hidden: 64, ffn: 64, heads: 2, kvHeads: 2, headDim: 32 },
}).buffer;
const PROMPT = { tokens: Array.from({ length: 41 }, (_, index) => (index * 37 + 5) % 300) };
const OPTIONS = { maxTokens: 8, topLogprobs: 0 };
/** Every miss reads the file. */
const SMALL = { gpuBudget: "25%", ramBudget: 0 } as const;

/** Defines the tests of work that is stopped or fails on its way, behind which the engine works as before. */
export function testInterruptions(createEngine: CreateEngine): void {
  let engine: Engine;
  beforeAll(() => {
    engine = createEngine();
  });
  afterAll(() => engine.dispose());

  async function expectWorks(expected: Awaited<ReturnType<typeof replyOf>>) {
    const { tokens, logprobs } = await replyOf(engine, PROMPT, OPTIONS);
    expect(tokens).toEqual(expected.tokens);
    expect(logprobs).toEqual(expected.logprobs);
  }

  test("a reply that is aborted between tokens ends with what there is", async () => {
    await loadCold(engine, MODEL);
    const all = await replyOf(engine, PROMPT, OPTIONS);
    const controller = new AbortController();
    const tokens: number[] = [];
    const reply = engine.generate(PROMPT, OPTIONS, controller.signal);
    let step = await reply.next();
    for (; !step.done; step = await reply.next()) {
      tokens.push(...step.value.tokens);
      if (tokens.length === 3) controller.abort();
    }

    expect(step.value.finishReason).toBe("aborted");
    expect(step.value.tokens).toEqual(all.tokens.slice(0, 3));
    expect(tokens).toEqual(step.value.tokens);
    await expectWorks(all);
  });

  test("a reply that waits for an expert ends as soon as it is aborted", async () => {
    await loadCold(engine, MODEL);
    const all = await replyOf(engine, PROMPT, OPTIONS);
    const source = watchedSource(MODEL);
    await loadCold(engine, source, SMALL);
    const controller = new AbortController();
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    source.before = () => {
      controller.abort();
      return held;
    };

    const aborted = await replyOf(engine, PROMPT, OPTIONS, controller.signal);

    expect(aborted.finishReason).toBe("aborted");
    expect(aborted.tokens).toEqual([]);
    source.before = () => {};
    release();
    await expectWorks(all);
  });

  test("a change of the budget gives up what is being fetched, and no reply waits for that", async () => {
    await loadCold(engine, MODEL);
    const all = await replyOf(engine, PROMPT, OPTIONS);
    const source = watchedSource(MODEL);
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    // Those of two slots in each of three layers come, three reads each; those for RAM do not.
    let fills = 0;
    source.before = async (options) => {
      if (options?.priority === "fill" && ++fills > 18) await held;
    };
    await engine.load(source, { gpuBudget: "25%", ramBudget: "100%", fill: "wait" }, {});
    await expect.poll(() => fills).toBeGreaterThan(18);

    await engine.setBudget({ gpu: "37.5%" });
    setTimeout(release, 500);
    const { tokens, finishReason } = await replyOf(engine, PROMPT, OPTIONS);

    expect(finishReason).toBe("length");
    expect(tokens).toEqual(all.tokens);
  });

  test("a read that fails ends the reply with its error, and the next one works", async () => {
    await loadCold(engine, MODEL);
    const all = await replyOf(engine, PROMPT, OPTIONS);
    const source = watchedSource(MODEL);
    await loadCold(engine, source, SMALL);
    let reads = 0;
    source.before = () => {
      // In the middle of a round, of which other reads go on.
      if (++reads === 5) throw new SluiceError("network", "The cable was pulled.");
    };

    await expect(replyOf(engine, PROMPT, OPTIONS)).rejects.toMatchObject({ code: "network" });

    await expectWorks(all);
  });

  test("a load that is aborted leaves nothing loaded, and the next one works", async () => {
    await loadCold(engine, MODEL);
    const all = await replyOf(engine, PROMPT, OPTIONS);
    for (const phase of ["header", "weights", "pipelines"] as const) {
      const controller = new AbortController();
      const load = engine.load(
        MODEL,
        { fill: "wait" },
        {
          signal: controller.signal,
          onProgress: (progress) => {
            if (progress.phase === phase) controller.abort();
          },
        },
      );

      await expect(load, phase).rejects.toMatchObject({ code: "aborted" });
    }
    await loadCold(engine, MODEL);
    await expectWorks(all);
  });

  test("an engine that was disposed of says so", async () => {
    const own = createEngine();
    await loadCold(own, MODEL);
    const reply = own.generate(PROMPT, OPTIONS);
    await reply.next();

    await own.dispose();

    await expect(reply.next()).rejects.toMatchObject({ code: "engine-state" });
    await expect(replyOf(own, PROMPT)).rejects.toMatchObject({
      code: "engine-state",
      message: expect.stringContaining("disposed"),
    });
    await expect(loadCold(own, MODEL)).rejects.toMatchObject({ code: "engine-state" });
  });
}
