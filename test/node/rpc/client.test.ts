import { describe, expect, test } from "vitest";
import { type LoadProgress, SluiceError, type TokenChunk } from "../../../src/index.ts";
import { connectFake } from "./connect-fake.ts";
import { createFakeEngine, MODEL, STATS } from "./fake-engine.ts";

const URL_OF_MODEL = "https://example.com/model.gguf";

async function texts(reply: AsyncIterable<TokenChunk>): Promise<string[]> {
  const pieces: string[] = [];
  for await (const piece of reply) pieces.push(piece.text);
  return pieces;
}

describe("errors", () => {
  test("a SluiceError keeps its class, code and sentence", async () => {
    const failing = createFakeEngine([], {
      async setBudget() {
        throw new SluiceError("budget-too-small", "50 MB are needed.");
      },
    });
    const engine = await connectFake(failing);

    const error = await engine.setBudget({ gpu: "1MB" }).catch((error: unknown) => error);

    expect(error).toBeInstanceOf(SluiceError);
    expect(error).toMatchObject({ code: "budget-too-small", message: "50 MB are needed." });
  });

  test("an error that is not a SluiceError keeps its name and message", async () => {
    const failing = createFakeEngine([], {
      stats() {
        throw new RangeError("unreachable: slot 9 of 8");
      },
    });
    const engine = await connectFake(failing);

    const error = await engine.stats().catch((error: unknown) => error);

    expect(error).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(SluiceError);
    expect(error).toMatchObject({ name: "RangeError", message: "unreachable: slot 9 of 8" });
  });

  test("a thrown value that is no Error crosses, even one that cannot be cloned", async () => {
    let thrown: unknown = { plain: true };
    const failing = createFakeEngine([], {
      stats() {
        throw thrown;
      },
    });
    const engine = await connectFake(failing);

    await expect(engine.stats()).rejects.toEqual({ plain: true });
    thrown = () => {};
    await expect(engine.stats()).rejects.toThrow("Unserializable");
  });

  test("an error in the middle of a reply reaches the loop and the result", async () => {
    const failing = createFakeEngine([], {
      async *generate() {
        yield { tokens: [1], text: "one" };
        throw new SluiceError("device-lost", "The GPU went away.");
      },
    });
    const engine = await connectFake(failing);
    const reply = engine.generate("x");

    await expect(texts(reply)).rejects.toMatchObject({ code: "device-lost" });
    await expect(reply.result).rejects.toMatchObject({ code: "device-lost" });
    await expect(texts(engine.generate("x"))).rejects.toMatchObject({ code: "device-lost" });
  });

  test("an argument that cannot be cloned is bad input", async () => {
    const engine = await connectFake(createFakeEngine());

    const options = { gpuBudget: (() => 1) as unknown as number };

    await expect(engine.load(URL_OF_MODEL, options)).rejects.toMatchObject({ code: "bad-input" });
  });
});

describe("load", () => {
  test("gives progress in order, all of it before the model", async () => {
    const engine = await connectFake(createFakeEngine());
    const progress: LoadProgress["phase"][] = [];

    const model = await engine.load(URL_OF_MODEL, {
      onProgress: ({ phase }) => progress.push(phase),
    });

    expect(model).toEqual(MODEL);
    expect(progress).toEqual(["header", "ready"]);
  });

  test("copies bytes: the caller's stay usable", async () => {
    const fake = createFakeEngine();
    const engine = await connectFake(fake);
    const bytes = Uint8Array.of(9, 1, 2, 9).subarray(1, 3);

    await engine.load(bytes);

    expect(bytes).toEqual(Uint8Array.of(1, 2));
    expect(new Uint8Array(fake.loaded as ArrayBuffer)).toEqual(Uint8Array.of(1, 2));
  });

  test.for([["model.gguf"], [7 as unknown as string], [null as unknown as string]])(
    "refuses %s, which is no source",
    async ([source]) => {
      const engine = await connectFake(createFakeEngine());

      await expect(engine.load(source as string)).rejects.toMatchObject({ code: "bad-input" });
    },
  );

  test("is stopped by its signal", async () => {
    const waiting = createFakeEngine([], {
      load: (_source, _options, { signal }) =>
        new Promise((_resolve, reject) => {
          signal?.addEventListener("abort", () => reject(new SluiceError("aborted", "Stopped.")));
        }),
    });
    const engine = await connectFake(waiting);
    const controller = new AbortController();

    const loading = engine.load(URL_OF_MODEL, { signal: controller.signal });
    controller.abort();

    await expect(loading).rejects.toMatchObject({ code: "aborted" });
    await expect(engine.load(URL_OF_MODEL, { signal: controller.signal })).rejects.toMatchObject({
      code: "aborted",
    });
  });
});

describe("score", () => {
  test("gives the log-probabilities of all tokens but the first", async () => {
    const engine = await connectFake(createFakeEngine());

    expect((await engine.score([7, 8, 9])).logprobs).toEqual([-8, -9]);
  });

  test("is stopped by its signal, and not started by one that has fired", async () => {
    let started = 0;
    const waiting = createFakeEngine([], {
      score: (_tokens, signal) =>
        new Promise((_resolve, reject) => {
          started++;
          signal?.addEventListener("abort", () => reject(new SluiceError("aborted", "Stopped.")));
        }),
    });
    const engine = await connectFake(waiting);
    const controller = new AbortController();
    const { signal } = controller;

    const scoring = engine.score([1, 2], { signal });
    controller.abort();

    await expect(scoring).rejects.toMatchObject({ code: "aborted" });
    await expect(engine.score([1, 2], { signal })).rejects.toMatchObject({ code: "aborted" });
    expect(started).toBe(1);
  });
});

describe("generate", () => {
  test("streams pieces and then has the result", async () => {
    const engine = await connectFake(createFakeEngine());
    const reply = engine.generate("x", { seed: 5 });

    expect(await texts(reply)).toEqual(["Once", " upon", " a", " time"]);
    expect(await reply.result).toMatchObject({ finishReason: "stop", seed: 5 });
  });

  test("computes no token before it is asked for", async () => {
    const fake = createFakeEngine();
    const engine = await connectFake(fake);
    const pieces = engine.generate("x")[Symbol.asyncIterator]();

    await engine.stats();
    expect(fake.computed).toBe(0);
    await pieces.next();
    await pieces.next();
    await engine.stats();

    expect(fake.computed).toBe(2);
  });

  test("runs to its end for the result alone, and keeps the pieces for a loop", async () => {
    const engine = await connectFake(createFakeEngine());
    const reply = engine.generate("x");

    expect(await reply.result).toMatchObject({ text: "Once upon a time" });
    expect(await texts(reply)).toHaveLength(4);
  });

  test("streams while somebody waits for the result", async () => {
    const engine = await connectFake(createFakeEngine());
    const reply = engine.generate("x");

    const [result, pieces] = await Promise.all([reply.result, texts(reply)]);

    expect(pieces.join("")).toBe(result.text);
  });

  test("stops when the loop is left, and another reply can start at once", async () => {
    const fake = createFakeEngine();
    const engine = await connectFake(fake);
    const reply = engine.generate("x");

    for await (const _piece of reply) break;

    expect(fake.computed).toBe(1);
    expect(await reply.result).toMatchObject({ finishReason: "aborted", tokens: [0] });
    expect(await texts(engine.generate("x"))).toHaveLength(4);
  });

  test("ends with finish reason aborted when its signal fires", async () => {
    const engine = await connectFake(createFakeEngine());
    const controller = new AbortController();
    const reply = engine.generate("x", { signal: controller.signal });

    const pieces: string[] = [];
    for await (const piece of reply) {
      pieces.push(piece.text);
      if (pieces.length === 2) controller.abort();
    }

    expect(pieces).toEqual(["Once", " upon"]);
    expect(await reply.result).toMatchObject({ finishReason: "aborted" });
  });

  test("has no piece when its signal fired before the start", async () => {
    const fake = createFakeEngine();
    const engine = await connectFake(fake);
    const reply = engine.generate("x", { signal: AbortSignal.abort() });

    expect(await texts(reply)).toEqual([]);
    expect(await reply.result).toMatchObject({ finishReason: "aborted", tokens: [] });
    expect(fake.computed).toBe(0);
  });

  test("refuses a second reply while one runs", async () => {
    const engine = await connectFake(createFakeEngine());
    const first = engine.generate("x")[Symbol.asyncIterator]();
    await first.next();

    await expect(texts(engine.generate("y"))).rejects.toMatchObject({ code: "engine-state" });

    expect((await first.next()).value.text).toBe(" upon");
  });
});

test("chat passes the conversation on", async () => {
  let prompt: unknown;
  const fake = createFakeEngine();
  const engine = await connectFake({
    ...fake,
    generate(given, options, signal) {
      prompt = given;
      return fake.generate(given, options, signal);
    },
  });

  await engine.chat([{ role: "user", content: "Hello" }]).result;

  expect(prompt).toEqual({ messages: [{ role: "user", content: "Hello" }] });
});

test("the other calls cross", async () => {
  const engine = await connectFake(createFakeEngine());

  expect(await engine.stats()).toEqual(STATS);
  expect((await engine.expertMap()).state).toEqual(Uint8Array.of(0, 2));
  expect(await engine.setBudget({ gpu: "50%" })).toEqual({
    gpuBudgetBytes: 42,
    ramBudgetBytes: 43,
    diskBudgetBytes: 44,
  });
  expect(await engine.tokenize("ab")).toEqual([97, 98]);
});

test("dispose frees the engine, and later calls are refused", async () => {
  const fake = createFakeEngine();
  const engine = await connectFake(fake);

  await engine.dispose();
  await engine.dispose();

  expect(fake.disposed).toBe(true);
  await expect(engine.stats()).rejects.toMatchObject({ code: "engine-state" });
});
