import { expect, test } from "vitest";
import { connect } from "../../../src/index.ts";
import { serve } from "../../../src/rpc/server.ts";
import { createFakeEngine } from "./fake-engine.ts";

/** What a page sees of a worker. It answers through `engine`, or never. */
class FakeWorker extends EventTarget {
  terminated = false;
  readonly #inside = new EventTarget();

  constructor(engine?: ReturnType<typeof createFakeEngine>) {
    super();
    if (!engine) return;
    serve(engine, {
      postMessage: (data) => this.deliver(this, data),
      addEventListener: (type, listener) => this.#inside.addEventListener(type, listener),
      removeEventListener: (type, listener) => this.#inside.removeEventListener(type, listener),
    });
  }

  postMessage(data: unknown): void {
    this.deliver(this.#inside, data);
  }

  deliver(target: EventTarget, data: unknown): void {
    const event = new MessageEvent("message", { data: structuredClone(data) });
    queueMicrotask(() => target.dispatchEvent(event));
  }

  terminate(): void {
    this.terminated = true;
  }
}

/** An engine that is never done. */
function hanging() {
  return createFakeEngine([], { setBudget: () => new Promise(() => {}) });
}

const scriptError = () =>
  Object.assign(new Event("error"), { message: "boom", filename: "worker.js", lineno: 3 });

test("a script that does not load rejects connect", async () => {
  const worker = new FakeWorker();
  const connecting = connect(worker);

  worker.dispatchEvent(new Event("error"));

  await expect(connecting).rejects.toMatchObject({
    code: "worker-died",
    message: expect.stringContaining("script did not load"),
  });
});

test("a worker that never answers rejects connect in time", async () => {
  const worker = new FakeWorker();

  await expect(connect(worker, { timeoutMs: 20 })).rejects.toMatchObject({
    code: "worker-died",
    message: expect.stringContaining("did not answer within 0.02 s"),
  });
  expect(worker.terminated).toBe(true);
});

test.for([["error"], ["messageerror"]])(
  "%s rejects every call, and those to come",
  async ([type]) => {
    const worker = new FakeWorker(hanging());
    const engine = await connect(worker);
    const calls = [engine.setBudget({ gpu: 1 }), engine.setBudget({ gpu: 2 })];

    worker.dispatchEvent(type === "error" ? scriptError() : new Event(type as string));

    for (const call of [...calls, engine.stats(), engine.generate("x").result]) {
      await expect(call).rejects.toMatchObject({ code: "worker-died" });
    }
  },
);

test("the reason names what the worker threw", async () => {
  const worker = new FakeWorker(hanging());
  const engine = await connect(worker);

  worker.dispatchEvent(scriptError());

  await expect(engine.stats()).rejects.toThrow("boom (worker.js:3)");
});

test("a reply that was running rejects", async () => {
  const worker = new FakeWorker(createFakeEngine());
  const engine = await connect(worker);
  const reply = engine.generate("x");
  const pieces = reply[Symbol.asyncIterator]();
  await pieces.next();

  worker.dispatchEvent(scriptError());

  await expect(pieces.next()).rejects.toMatchObject({ code: "worker-died" });
  await expect(reply.result).rejects.toMatchObject({ code: "worker-died" });
});

test("terminate ends the worker and rejects what waits", async () => {
  const worker = new FakeWorker(hanging());
  const engine = await connect(worker);
  const call = engine.setBudget({ gpu: 1 });

  engine.terminate();

  expect(worker.terminated).toBe(true);
  await expect(call).rejects.toMatchObject({ code: "worker-died" });
});

test("dispose ends the worker, and does not fail when it is dead", async () => {
  const [worker, dead] = [new FakeWorker(createFakeEngine()), new FakeWorker(createFakeEngine())];
  const [engine, orphan] = [await connect(worker), await connect(dead)];

  await engine.dispose();
  dead.dispatchEvent(scriptError());
  await orphan.dispose();

  expect(worker.terminated).toBe(true);
});

test("a port whose other end is gone rejects", async () => {
  const { port1, port2 } = new MessageChannel();
  serve(hanging(), port2);
  const engine = await connect(port1);
  const call = engine.setBudget({ gpu: 1 });

  port2.close();

  await expect(call).rejects.toMatchObject({ code: "worker-died" });
});
