import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { openGpu } from "../../../src/gpu/device.ts";
import {
  connect,
  type RuntimeWanted,
  type SluiceEngine,
  type TokenChunk,
} from "../../../src/index.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";
import { connectEngine, startEngine } from "../../helpers/worker-engine.ts";
import { startWorker } from "../../helpers/worker-entries.ts";

const TINY = { architecture: "smallthinker", experts: 4, contextTokens: 64 } as const;
const MODEL = tinyModel(TINY);
const PROMPT = { tokens: [1, 2, 3] };

/** Enough for a score not to be over before it can be stopped. */
const SCORED_TOKENS = { webgpu: 40, onnx: 2000 } as const;

function brokenWorker(script: string): Worker {
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  onTestFinished(() => URL.revokeObjectURL(url));
  return new Worker(url, { type: "module" });
}

async function tokensOf(reply: AsyncIterable<TokenChunk>): Promise<number[]> {
  const tokens: number[] = [];
  for await (const piece of reply) tokens.push(...piece.tokens);
  return tokens;
}

describe.for(["webgpu", "onnx"] as const)("a worker with an engine on %s", (runtime) => {
  let engine: SluiceEngine;
  beforeAll(async () => {
    engine = await connectEngine({ runtime });
  });
  afterAll(() => engine?.dispose());

  test("loads a model, tells progress, and streams a reply", async () => {
    const phases = new Set<string>();

    const model = await engine.load(new Blob([MODEL]), {
      onProgress: ({ phase }) => phases.add(phase),
    });
    const reply = engine.generate(PROMPT, { maxTokens: 6 });
    const tokens = await tokensOf(reply);

    expect(model).toMatchObject({ architecture: "smallthinker", experts: 4 });
    expect([...phases].at(-1)).toBe("ready");
    expect(tokens).toHaveLength(6);
    expect(await reply.result).toMatchObject({ tokens, finishReason: "length" });
    expect(await engine.stats()).toMatchObject({
      tokens: 6,
      promptTokens: 3,
      runtime: { name: runtime, reason: "it was asked for" },
    });
    expect((await engine.expertMap()).state).toHaveLength(2 * 4);
  });

  test("gives the same tokens when the budget changes during the reply", async () => {
    await engine.load(MODEL, { gpuBudget: "100%" });
    const whole = await tokensOf(engine.generate(PROMPT, { maxTokens: 8 }));

    const tokens: number[] = [];
    for await (const piece of engine.generate(PROMPT, { maxTokens: 8 })) {
      tokens.push(...piece.tokens);
      if (tokens.length === 3) void engine.setBudget({ gpu: "50%" });
    }

    expect(tokens).toEqual(whole);
  });

  test("stops when the loop is left, and can reply again", async () => {
    await engine.load(MODEL);
    const reply = engine.generate(PROMPT, { maxTokens: 30 });

    for await (const _piece of reply) break;

    expect(await reply.result).toMatchObject({ finishReason: "aborted" });
    expect(await tokensOf(engine.generate(PROMPT, { maxTokens: 2 }))).toHaveLength(2);
  });

  test("scores tokens, and stops when the signal fires", async () => {
    const length = SCORED_TOKENS[runtime];
    await engine.load(tinyModel({ ...TINY, contextTokens: length }));
    const tokens = Array.from({ length }, (_, index) => 1 + (index % 40));

    const { logprobs, stats } = await engine.score(tokens);
    const controller = new AbortController();
    const scoring = engine.score(tokens, { signal: controller.signal });
    controller.abort();

    await expect(scoring).rejects.toMatchObject({ code: "aborted" });
    expect(logprobs).toHaveLength(length - 1);
    expect(stats).toMatchObject({ promptTokens: length, tokens: 0 });
    expect((await engine.score(tokens)).logprobs).toEqual(logprobs);
  });

  test("answers in OpenAI's shape", async () => {
    const template = "{% for message in messages %}{{ message.content }}{% endfor %}";
    await engine.load(withTemplate(template));

    const completion = await engine.chat.completions.create({
      messages: [{ role: "user", content: "Hello" }],
      max_tokens: 3,
      temperature: 0,
      logprobs: true,
      top_logprobs: 2,
    });

    expect(completion.usage.completion_tokens).toBe(3);
    expect(completion.choices[0].finish_reason).toBe("length");
    expect(completion.choices[0].logprobs?.content).toHaveLength(3);
    expect(completion.choices[0].logprobs?.content[0]?.top_logprobs).toHaveLength(2);
  });

  test("keeps the codes of its errors", async () => {
    const fresh = await startEngine({ runtime });
    const signal = AbortSignal.abort();

    await expect(fresh.load(new Uint8Array(99))).rejects.toMatchObject({ code: "bad-file" });
    await expect(fresh.load(MODEL, { signal })).rejects.toMatchObject({ code: "aborted" });
    await expect(tokensOf(fresh.generate("x"))).rejects.toMatchObject({ code: "engine-state" });
    await expect(fresh.load(MODEL, { gpuBudget: "1MB" })).rejects.toMatchObject({
      code: "budget-too-small",
    });
  });
});

describe("a worker with an engine", () => {
  test("keeps the variants that it found to be fastest, for the next visit", async () => {
    const first = await startEngine({ worker: startWorker("patient") });
    const sources = async (engine: SluiceEngine) =>
      new Set(Object.values(await engine.variants()).map(({ source }) => source));
    await first.clearTuning();
    await first.load(MODEL);
    const { variants } = await first.stats();
    const second = await startEngine();
    await second.load(MODEL);

    expect(await sources(first)).toContain("tuned");
    expect(await sources(second)).toContain("kept");
    expect((await second.stats()).variants).toEqual(variants);
  });

  test("computes in WebAssembly by itself where no GPU is behind WebGPU, and says why", async () => {
    const { software, dispose } = await openGpu(navigator.gpu);
    dispose();
    const engine = await startEngine({ runtime: "auto" });

    await engine.load(MODEL);

    const { runtime, adapter } = await engine.stats();
    expect(runtime.name).toBe(software ? "onnx" : "webgpu");
    expect(runtime.reason).toContain(software ? "runs on the processor" : "there is an adapter");
    expect(adapter.includes("WebAssembly")).toBe(software);
  });
});

describe("a worker in a browser without WebGPU", () => {
  const startGpuless = (runtime: RuntimeWanted) =>
    startEngine({ runtime, worker: startWorker("gpuless") });

  test("computes in WebAssembly, in as many threads as the page may have", async () => {
    const engine = await startGpuless("auto");

    await engine.load(MODEL, { onnxThreads: 2 });

    expect(await tokensOf(engine.generate(PROMPT, { maxTokens: 6 }))).toHaveLength(6);
    const { runtime } = await engine.stats();
    expect(runtime).toMatchObject({ name: "onnx", reason: "this browser has no WebGPU" });
    expect(runtime.threads).toBe(crossOriginIsolated ? 2 : 1);
  });

  test("says so where nothing but WebGPU will do", async () => {
    const engine = await startGpuless("webgpu");

    await expect(engine.load(MODEL)).rejects.toMatchObject({ code: "no-adapter" });
  });

  test("says what is missing where WebAssembly's files are not there", async () => {
    const engine = await startGpuless("auto");
    const onnxFolder = new URL("/no-such-folder/", location.href).href;

    await expect(engine.load(MODEL, { onnxFolder })).rejects.toMatchObject({
      code: "missing-feature",
      message: expect.stringMatching(/no-such-folder.*onnxFolder/),
    });
  });
});

describe("a worker that fails", () => {
  test("rejects when there is no such script", async () => {
    const worker = new Worker("/no-such-worker.js", { type: "module" });

    await expect(connect(worker, { timeoutMs: 20_000 })).rejects.toMatchObject({
      code: "worker-died",
      message: expect.stringContaining("script did not load"),
    });
  });

  test("rejects with what its script threw", async () => {
    const worker = brokenWorker('throw new Error("a broken script");');

    await expect(connect(worker, { timeoutMs: 20_000 })).rejects.toMatchObject({
      code: "worker-died",
      message: expect.stringContaining("a broken script"),
    });
  });

  test("rejects when a module that its script imports is not there", async () => {
    const worker = brokenWorker(`import "${location.origin}/no-such-module.js";`);

    await expect(connect(worker, { timeoutMs: 20_000 })).rejects.toMatchObject({
      code: "worker-died",
      message: expect.stringContaining("script did not load"),
    });
  });

  test("rejects when the script is another", async () => {
    const worker = brokenWorker("addEventListener('message', () => {});");

    await expect(connect(worker, { timeoutMs: 500 })).rejects.toMatchObject({
      code: "worker-died",
      message: expect.stringContaining("did not answer"),
    });
  });

  test("rejects what waits when it is terminated", async () => {
    const engine = await startEngine();
    const loading = engine.load(MODEL);

    engine.terminate();

    await expect(loading).rejects.toMatchObject({ code: "worker-died" });
  });
});

function withTemplate(template: string): Uint8Array<ArrayBuffer> {
  const keys = { "tokenizer.chat_template": { type: "string", value: template } } as const;
  return tinyModel({ ...TINY, keys });
}
