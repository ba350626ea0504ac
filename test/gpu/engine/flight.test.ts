import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createEngine } from "../../../src/engine/engine.ts";
import type { Engine } from "../../../src/engine/types.ts";
import type { GenerateOptions, TokenChunk } from "../../../src/rpc/api.ts";
import { loadCold, replyOf } from "../../helpers/engine.ts";
import { g } from "../../helpers/gguf-writer.ts";
import { type TinyModelOptions, tinyModel } from "../../helpers/tiny-models.ts";

const EXPERTS = 8;
const TOP_K = 2;
const PROMPT = Array.from({ length: 35 }, (_, index) => (index * 37 + 5) % 300);
const TOKENS = 14;
const SIZES = { hidden: 64, ffn: 64, heads: 2, kvHeads: 2, headDim: 32, contextTokens: 128 };
const COMMON = { ...SIZES, layers: 3, experts: EXPERTS, topK: TOP_K, format: "q8_0" } as const;

/** Routers before and after attention and by token, a ring of keys, and recurrent states. */
const MODELS: readonly TinyModelOptions[] = [
  { ...COMMON, architecture: "smallthinker" },
  { ...COMMON, architecture: "qwen3moe" },
  { ...COMMON, architecture: "sluice", routerInput: "token" },
  { ...COMMON, architecture: "gpt-oss", window: 8 },
  { ...COMMON, architecture: "granitehybrid" },
];

let engine: Engine;
beforeAll(() => {
  engine = createEngine({ gpu: navigator.gpu });
});
afterAll(() => engine.dispose());

/** The first `count` pieces of a reply that nobody reads to its end. */
async function leave(prompt: readonly number[], count: number): Promise<number[]> {
  const tokens: number[] = [];
  for await (const piece of engine.generate({ tokens: prompt }, { maxTokens: 40 })) {
    tokens.push(...piece.tokens);
    if (tokens.length >= count) break;
  }
  return tokens;
}

describe.for(MODELS)("tokens in flight of $architecture", (options) => {
  const model = tinyModel(options).buffer;
  const prompt = { tokens: PROMPT };
  let one: Awaited<ReturnType<typeof replyOf>>;
  let alone: readonly number[];

  beforeAll(async () => {
    await loadCold(engine, model, { pacing: "pass" });
    one = await replyOf(engine, prompt, { maxTokens: TOKENS, trace: true });
    alone = one.tokens;
  });

  /** What a conversation that was stopped somewhere goes on with, and what it does when it is new. */
  async function expectGoesOn(shown: readonly number[]) {
    const longer = { tokens: [...PROMPT, ...shown, 7, 8] };
    const continued = await replyOf(engine, longer, { maxTokens: 6, topLogprobs: 0 });
    await loadCold(engine, model, { pacing: "pass" });
    const fresh = await replyOf(engine, longer, { maxTokens: 6, topLogprobs: 0 });
    expect(continued.tokens).toEqual(fresh.tokens);
    expect(continued.logprobs).toEqual(fresh.logprobs);
  }

  test("are the tokens that come one at a time, whatever faults", async () => {
    expect(one.stats.tokensInFlight).toBe(1);

    for (const gpuBudget of [`${(100 * TOP_K) / EXPERTS}%`, "50%", "100%"]) {
      await loadCold(engine, model, { pacing: "tokens", gpuBudget });
      const flown = await replyOf(engine, prompt, { maxTokens: TOKENS, trace: true });

      expect(flown.stats.faults, gpuBudget).toBeGreaterThan(0);
      expect(flown.stats.tokensInFlight, gpuBudget).toBeGreaterThan(1.5);
      expect(flown.tokens, gpuBudget).toEqual(one.tokens);
      expect(flown.trace!.tokens, gpuBudget).toEqual(one.trace!.tokens);
    }
  });

  test("leave nothing behind when a reply is left, aborted or ends with a text", async () => {
    await loadCold(engine, model, { pacing: "tokens", gpuBudget: "50%" });
    await expectGoesOn(await leave(PROMPT, 3));

    await loadCold(engine, model, { pacing: "tokens", fill: "wait" });
    const controller = new AbortController();
    const shown: number[] = [];
    for await (const { tokens } of engine.generate(prompt, { maxTokens: 40 }, controller.signal)) {
      shown.push(...tokens);
      if (shown.length === 5) controller.abort();
    }
    expect(shown).toEqual(alone.slice(0, 5));
    await expectGoesOn(shown);

    await loadCold(engine, model, { pacing: "tokens", fill: "wait" });
    const { streamed } = await replyOf(engine, prompt, { maxTokens: 8 });
    const stop = [...streamed].slice(-1);
    const stopped = await replyOf(engine, prompt, { maxTokens: TOKENS, stop });
    expect(stopped.finishReason).toBe("stop");
    await expectGoesOn(stopped.tokens);
  });

  test("compute nothing behind an end token", async () => {
    const end = alone.findIndex((token, index) => index >= 4 && alone.indexOf(token) === index);
    const keys = { "tokenizer.ggml.eos_token_id": g.u32(alone[end]!) };
    const ending = tinyModel({ ...options, keys: { ...options.keys, ...keys } }).buffer;
    await loadCold(engine, ending, { pacing: "tokens", fill: "wait" });
    const ended = await replyOf(engine, prompt, { maxTokens: 40, trace: true });
    const longer = { tokens: [...PROMPT, ...ended.tokens, 7, 8] };
    const continued = await replyOf(engine, longer, { maxTokens: 6, trace: true });

    expect(ended.finishReason).toBe("stop");
    expect(ended.tokens).toEqual(alone.slice(0, end));
    expect(ended.trace!.tokens).toHaveLength(PROMPT.length + end);
    // Had anything been computed behind the end, a ring or a state could not be gone on with.
    expect(continued.trace!.tokens.length).toBeLessThan(longer.tokens.length);
    await loadCold(engine, ending, { pacing: "pass" });
    expect((await replyOf(engine, longer, { maxTokens: 6 })).tokens).toEqual(continued.tokens);
  });

  test("are those of any budget that changes meanwhile", async () => {
    await loadCold(engine, model, { pacing: "tokens" });
    const tokens: number[] = [];
    const changes: Promise<unknown>[] = [];
    for await (const piece of engine.generate(prompt, { maxTokens: TOKENS })) {
      tokens.push(...piece.tokens);
      const gpu = ["25%", "100%", "50%"][tokens.length % 3]!;
      const change = engine.setBudget({ gpu });
      changes.push(change);
      if (tokens.length % 2 === 0) await change;
    }
    await Promise.all(changes);

    expect(tokens).toEqual(alone);
  });
});

/** Settings that use every kernel of the choice. */
const DRAWS: readonly GenerateOptions[] = [
  { temperature: 1.2 },
  { temperature: 0.8, topK: 20 },
  { temperature: 1, topP: 0.8, minP: 0.01 },
  { temperature: 1.5, topK: 40, topP: 0.9, repetitionPenalty: 1.3, repetitionWindow: 5 },
  { repetitionPenalty: 1.5 },
];

test.for(DRAWS)(
  "tokens drawn with %o are the same in flight, one at a time and on the host",
  async (draw) => {
    const model = tinyModel(MODELS[0]!).buffer;
    const prompt = { tokens: PROMPT };
    const options = { maxTokens: 24, seed: 5, ...draw };
    await loadCold(engine, model, { pacing: "pass", gpuBudget: "50%" });
    const one = await replyOf(engine, prompt, options);
    await loadCold(engine, model, { pacing: "tokens" });
    const flown = await replyOf(engine, prompt, options);
    const onHost = await replyOf(engine, prompt, { ...options, topLogprobs: 0 });
    const other = await replyOf(engine, prompt, { ...options, seed: 2 ** 32 + 5 });

    expect(flown.stats.tokensInFlight).toBeGreaterThan(1.5);
    expect(onHost.stats.tokensInFlight).toBe(1);
    expect(flown.tokens).toEqual(one.tokens);
    expect(flown.tokens).toEqual(onHost.tokens);
    if (draw.temperature) expect(other.tokens).not.toEqual(flown.tokens);
  },
);

/** An engine of its own, the device that it opens, and a reply that has given two tokens. */
async function startReply() {
  let device: GPUDevice | undefined;
  const gpu = {
    async requestAdapter(...asked: Parameters<GPU["requestAdapter"]>) {
      const adapter = await navigator.gpu.requestAdapter(...asked);
      const { requestDevice } = GPUAdapter.prototype;
      return new Proxy(adapter!, {
        get(target, key) {
          if (key !== "requestDevice") return Reflect.get(target, key, target);
          return async (...wanted: Parameters<GPUAdapter["requestDevice"]>) => {
            device = await requestDevice.apply(target, wanted);
            return device;
          };
        },
      });
    },
  } as GPU;
  const rejections: unknown[] = [];
  const onRejection = ({ reason }: PromiseRejectionEvent) => rejections.push(reason);
  // Node, where these tests run through Dawn, fails a run by itself for a rejection that nobody handles.
  globalThis.addEventListener?.("unhandledrejection", onRejection);
  onTestFinished(() => globalThis.removeEventListener?.("unhandledrejection", onRejection));
  const own = createEngine({ gpu });
  await own.load(tinyModel(MODELS[0]!).buffer, { pacing: "tokens", fill: "wait" }, {});
  const stream = own.generate({ tokens: PROMPT }, { maxTokens: 40 });
  const pieces: TokenChunk[] = [];
  for (let count = 0; count < 2; count++) {
    const step = await stream.next();
    if (!step.done) pieces.push(step.value);
  }
  return { own, device: device!, stream, rejections, pieces };
}

test("a device that is lost with tokens in flight ends the reply, and the engine can load again", async () => {
  const { own, device, stream, rejections } = await startReply();
  device.destroy();

  await expect(
    (async () => {
      while (!(await stream.next()).done);
    })(),
  ).rejects.toMatchObject({ code: "device-lost" });
  await own.load(tinyModel(MODELS[0]!).buffer, { pacing: "tokens" }, {});
  const { tokens } = await replyOf(own, { tokens: PROMPT }, { maxTokens: 4 });
  await own.dispose();

  expect(tokens).toHaveLength(4);
  expect(rejections).toEqual([]);
});

test("an engine that is disposed of with tokens in flight ends the reply", async () => {
  const { own, stream, rejections } = await startReply();
  await own.dispose();

  await expect(stream.next()).rejects.toMatchObject({ code: "engine-state" });
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(rejections).toEqual([]);
});
