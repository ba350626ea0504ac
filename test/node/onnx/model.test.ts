import { InferenceSession } from "onnxruntime-web/wasm";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { openGguf } from "../../../src/gguf/gguf.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import { createOnnxEngine, loadCold, replyOf } from "../../helpers/engine.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";

const SMALL = { hidden: 64, ffn: 64, heads: 2, kvHeads: 2, headDim: 32, experts: 4 } as const;
const MODEL = tinyModel({ architecture: "qwen3moe", ...SMALL, format: "q8_0" });
const PROMPT = { tokens: [5, 17, 99, 3, 250, 4] };

afterEach(() => {
  vi.restoreAllMocks();
});

/** Watches sessions of onnxruntime-web: which are there, and when making one fails. */
function watchSessions(failsAt = Number.POSITIVE_INFINITY) {
  const create = InferenceSession.create as (...args: unknown[]) => Promise<InferenceSession>;
  const watched = { open: 0, made: 0 };
  vi.spyOn(InferenceSession, "create").mockImplementation(async (...args: unknown[]) => {
    if (++watched.made === failsAt) throw new Error("std::bad_alloc");
    const session = await create(...args);
    watched.open++;
    const release = session.release.bind(session);
    session.release = async () => {
      watched.open--;
      await release();
    };
    return session;
  });
  return watched;
}

function openEngine() {
  const engine = createOnnxEngine();
  onTestFinished(() => engine.dispose());
  return engine;
}

test("says what computes, how much of it, and that kernels cannot be timed", async () => {
  const engine = openEngine();
  await loadCold(engine, MODEL.buffer);

  const { stats } = await replyOf(engine, PROMPT, { maxTokens: 2 });

  expect(stats.runtime).toMatchObject({ name: "onnx", reason: "it was asked for" });
  expect(stats.runtime.threads).toBeGreaterThan(0);
  expect(stats.adapter).toMatch(/^onnxruntime-web \d+\.\d+.*WebAssembly, \d+ thread/);
  expect(stats.dispatchesPerLayer).toBeGreaterThan(0);
  await expect(engine.profile()).rejects.toMatchObject({ code: "missing-feature" });
  expect((await replyOf(engine, PROMPT, { maxTokens: 2 })).tokens).toHaveLength(2);
});

test("every graph is released with the model, whether another one takes its place or none", async () => {
  const sessions = watchSessions();
  const engine = openEngine();
  await loadCold(engine, MODEL.buffer);
  const ofOne = sessions.open;
  expect(ofOne).toBeGreaterThan(0);

  await loadCold(engine, MODEL.buffer);
  await expect.poll(() => sessions.open).toBe(ofOne);
  await engine.dispose();

  await expect.poll(() => sessions.open).toBe(0);
});

test("whichever graph finds no memory, the load says so and keeps nothing", async () => {
  const counted = watchSessions();
  const engine = openEngine();
  await loadCold(engine, MODEL.buffer);
  const { tokens } = await replyOf(engine, PROMPT, { maxTokens: 3 });
  const graphs = counted.made;
  expect(graphs).toBeGreaterThan(4);
  for (let failsAt = 1; failsAt <= graphs; failsAt++) {
    vi.restoreAllMocks();
    const sessions = watchSessions(failsAt);

    await expect(loadCold(engine, MODEL.buffer), `graph ${failsAt}`).rejects.toMatchObject({
      code: "out-of-memory",
    });

    await expect.poll(() => sessions.open, { message: `graph ${failsAt}` }).toBe(0);
  }
  vi.restoreAllMocks();
  await loadCold(engine, MODEL.buffer);
  expect((await replyOf(engine, PROMPT, { maxTokens: 3 })).tokens).toEqual(tokens);
});

test("without a budget, more than half of the memory is not taken", async () => {
  vi.stubGlobal("navigator", { deviceMemory: 0.001 });
  onTestFinished(() => {
    vi.unstubAllGlobals();
  });
  const engine = openEngine();
  await expect(loadCold(engine, MODEL.buffer)).rejects.toMatchObject({
    code: "out-of-memory",
    message: expect.stringMatching(/bytes of memory.*Give a budget/),
  });

  await loadCold(engine, MODEL.buffer, { gpuBudget: "100%" });
  expect((await replyOf(engine, PROMPT, { maxTokens: 3 })).tokens).toHaveLength(3);
});

test.for(["output.weight", "blk.0.attn_q.weight", "blk.0.ffn_down_exps.weight"])(
  "numbers that are none, in %s, are told, with what to do",
  async (name) => {
    const damaged = tinyModel({ architecture: "qwen3moe", ...SMALL });
    const { tensors } = await openGguf(memorySource(damaged));
    const { byteOffset, bytes } = tensors.get(name)!;
    damaged.fill(0xff, byteOffset, byteOffset + bytes);
    const engine = openEngine();
    const use = async () => {
      await loadCold(engine, damaged.buffer);
      await replyOf(engine, PROMPT, { maxTokens: 3 });
    };

    await expect(use()).rejects.toMatchObject({
      code: "bad-file",
      message: expect.stringContaining("another file"),
    });

    await loadCold(engine, MODEL.buffer);
    expect((await replyOf(engine, PROMPT, { maxTokens: 3 })).tokens).toHaveLength(3);
  },
);

test("a runtime that there is not is refused with those that there are", async () => {
  await expect(
    loadCold(openEngine(), MODEL.buffer, { runtime: "cuda" as "onnx" }),
  ).rejects.toMatchObject({
    code: "bad-input",
    message: 'runtime is "cuda"; it must be one of auto, webgpu, onnx.',
  });
});
