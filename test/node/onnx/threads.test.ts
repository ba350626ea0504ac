import { describe, expect, onTestFinished, test } from "vitest";
import type { FromHelper, ThreadPort } from "../../../src/engine/onnx/experts/messages.ts";
import type { Engine } from "../../../src/engine/types.ts";
import type { LoadOptions } from "../../../src/rpc/api.ts";
import { createOnnxEngine, replyOf } from "../../helpers/engine.ts";
import { nodeThreads } from "../../helpers/node-threads.ts";
import { type TinyModelOptions, tinyModel } from "../../helpers/tiny-models.ts";

const SIZES: Omit<TinyModelOptions, "architecture"> = {
  ...{ layers: 2, hidden: 64, ffn: 64, heads: 2, kvHeads: 2, headDim: 32 },
  ...{ experts: 12, topK: 4, format: "q4_0" },
};
const MODEL = tinyModel({ architecture: "qwen3moe", ...SIZES });
const PROMPT = { tokens: Array.from({ length: 20 }, (_, i) => (31 * i) % 250) };
const GREEDY = { maxTokens: 24, temperature: 0 };

/** An engine with a model that the test's end disposes of. */
async function engineWith(
  startThread: (() => ThreadPort) | undefined,
  options: LoadOptions = {},
  model: Uint8Array<ArrayBuffer> = MODEL,
): Promise<Engine> {
  const engine = createOnnxEngine(startThread && { startThread });
  onTestFinished(() => engine.dispose());
  await engine.load(new Blob([model]), { fill: "off", ...options }, {});
  return engine;
}

async function alone(model: Uint8Array<ArrayBuffer> = MODEL, options: LoadOptions = {}) {
  const engine = await engineWith(undefined, { onnxThreads: 3, ...options }, model);
  const reply = await replyOf(engine, PROMPT, GREEDY);
  expect(reply.stats.runtime.threads).toBe(1);
  return reply.tokens;
}

/** A thread that says and does what it is told to. */
function scriptedThread(script: (say: (message: FromHelper) => void, fail: () => void) => void) {
  const posted: unknown[] = [];
  const state = { isClosed: false, posted };
  const start = (): ThreadPort => ({
    post: (message) => posted.push(message),
    listen: (onMessage, onFailure) => script(onMessage, () => onFailure("as the test wants it")),
    close: () => {
      state.isClosed = true;
    },
  });
  return { state, start };
}

describe("threads", () => {
  test.for([
    ["two", 2, MODEL],
    ["three, which do not share the experts evenly", 3, MODEL],
    [
      "two, of experts with biases",
      2,
      tinyModel({ architecture: "gpt-oss", ...SIZES, format: "mxfp4" }),
    ],
    ["two, of layers of two kinds", 2, tinyModel({ architecture: "lfm2moe", ...SIZES, layers: 4 })],
  ] as const)("%s, compute what one computes, prompts and tokens", async ([, threads, model]) => {
    const { opened, start } = nodeThreads();
    const engine = await engineWith(start, { onnxThreads: threads }, model);

    const reply = await replyOf(engine, PROMPT, GREEDY);

    expect(opened).toHaveLength(threads - 1);
    expect(reply.stats.runtime.threads).toBe(threads);
    expect(reply.stats.adapter).toContain(`${threads} threads`);
    expect(reply.tokens).toEqual(await alone(model));
  });

  test("compute the same while experts come and go, and budgets change", async () => {
    const { start } = nodeThreads();
    const engine = await engineWith(start, { onnxThreads: 2, gpuBudget: "40%", ramBudget: 0 });
    const wanted = await alone();

    for (const gpu of ["100%", "35%", "70%"] as const) {
      expect((await replyOf(engine, PROMPT, GREEDY)).tokens).toEqual(wanted);
      await engine.setBudget({ gpu });
      expect((await replyOf(engine, PROMPT, GREEDY)).tokens).toEqual(wanted);
    }
  });

  test("sleep between replies, and are there for the next one", async () => {
    const { start } = nodeThreads();
    const engine = await engineWith(start, { onnxThreads: 2 });
    const first = await replyOf(engine, PROMPT, GREEDY);
    await new Promise((resolve) => setTimeout(resolve, 100));

    const second = await replyOf(engine, PROMPT, GREEDY);

    expect(second.tokens).toEqual(first.tokens);
    expect(second.stats.runtime.threads).toBe(2);
  });

  test("are left in order by a reply that is stopped in its prompt", async () => {
    const { start } = nodeThreads();
    const engine = await engineWith(start, { onnxThreads: 2 });
    const long = { tokens: Array.from({ length: 200 }, (_, i) => (7 * i) % 250) };
    for (const afterMs of [0, 5, 20, 60]) {
      const stop = new AbortController();
      setTimeout(() => stop.abort(), afterMs);
      await replyOf(engine, long, GREEDY, stop.signal).catch((error) =>
        expect(error).toMatchObject({ code: "aborted" }),
      );
    }

    expect((await replyOf(engine, PROMPT, GREEDY)).tokens).toEqual(await alone());
  });
});

describe("a thread that", () => {
  test("dies is done without: the reply goes on, and is the same", async () => {
    const { opened, start } = nodeThreads();
    const engine = await engineWith(start, { onnxThreads: 2 });
    const stream = engine.generate(PROMPT, { ...GREEDY, maxTokens: 200 });
    const tokens: number[] = [];
    for (let step = await stream.next(); !step.done; step = await stream.next()) {
      tokens.push(...step.value.tokens);
      if (tokens.length === 3) opened[0]!.close();
    }

    const { runtime } = await engine.stats();
    expect(runtime.threads).toBe(1);
    const single = await engineWith(undefined);
    const wanted = await replyOf(single, PROMPT, { ...GREEDY, maxTokens: 200 });
    expect(tokens).toEqual(wanted.tokens);
  });

  test("cannot be started is done without", async () => {
    const engine = await engineWith(
      () => {
        throw new Error("not here");
      },
      { onnxThreads: 2 },
    );

    const reply = await replyOf(engine, PROMPT, GREEDY);

    expect(reply.stats.runtime.threads).toBe(1);
    expect(reply.tokens).toEqual(await alone());
  });

  test.for([
    ["fails before it listens", (_, fail) => setTimeout(fail)],
    [
      "listens, and then cannot load what computes",
      (say) => {
        setTimeout(() => say({ kind: "here" }));
        setTimeout(() => say({ kind: "failed", reason: "no such file" }), 50);
      },
    ],
  ] as [string, Parameters<typeof scriptedThread>[0]][])(
    "%s is ended and done without",
    async ([, script]) => {
      const { state, start } = scriptedThread(script);
      const engine = await engineWith(start, { onnxThreads: 2 });

      const reply = await replyOf(engine, PROMPT, GREEDY);

      expect(state.isClosed).toBe(true);
      expect(reply.stats.runtime.threads).toBe(1);
      expect(reply.tokens).toEqual(await alone());
    },
  );

  test("is there is ended with the model", async () => {
    let isClosed = false;
    const { start } = nodeThreads();
    const engine = await engineWith(
      () => {
        const port = start();
        const close = () => {
          isClosed = true;
          port.close();
        };
        return { ...port, close };
      },
      { onnxThreads: 2 },
    );

    await engine.load(new Blob([MODEL]), { onnxThreads: 1 }, {});

    expect(isClosed).toBe(true);
    expect((await engine.stats()).runtime.threads).toBe(1);
  });
});
