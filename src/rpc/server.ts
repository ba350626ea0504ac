import { expose } from "comlink";
import type { Engine } from "../engine/types.ts";
import { SluiceError } from "../errors.ts";
import type { GenerateResult, TokenChunk, WorkerApi } from "./api.ts";
import { installErrorTransfer } from "./errors.ts";
import { forwardProgress } from "./progress.ts";

/** What a server listens to: a worker's own scope, or a port. */
export type ServerEndpoint = NonNullable<Parameters<typeof expose>[1]>;

/**
 * Offers `engine` to the other end of `endpoint`; by default, the page that made this worker.
 *
 * @example
 * serve(createEngine({ gpu: navigator.gpu }));
 */
export function serve(engine: Engine, endpoint?: ServerEndpoint): void {
  installErrorTransfer();
  expose(createWorkerApi(engine), endpoint);
}

/** The calls of an engine by id: what `cancel` stops, and the reply that `next` reads. */
function createWorkerApi(engine: Engine): WorkerApi {
  const calls = new Map<number, AbortController>();
  let reply: { call: number; pieces: AsyncGenerator<TokenChunk, GenerateResult> } | undefined;

  function begin(call: number): AbortSignal {
    const controller = new AbortController();
    calls.set(call, controller);
    return controller.signal;
  }

  function end(call: number): void {
    calls.delete(call);
    if (reply?.call === call) reply = undefined;
  }

  return {
    async hello() {},

    async load(call, source, options, onProgress) {
      const progress = onProgress && forwardProgress(onProgress);
      try {
        return await engine.load(source, options, {
          signal: begin(call),
          ...(progress && { onProgress: progress.send }),
        });
      } finally {
        end(call);
        await progress?.close();
      }
    },

    async generate(call, prompt, options) {
      if (reply) {
        throw new SluiceError(
          "engine-state",
          "Another reply is running. Read it to its end, break out of its loop or abort it first.",
        );
      }
      reply = { call, pieces: engine.generate(prompt, options, begin(call)) };
    },

    async next(call) {
      if (reply?.call !== call) {
        throw new SluiceError("engine-state", "This reply is over. Start another with generate().");
      }
      try {
        const step = await reply.pieces.next();
        if (!step.done) return { done: false, chunk: step.value };
        end(call);
        return { done: true, result: step.value };
      } catch (error) {
        end(call);
        throw error;
      }
    },

    async score(call, tokens) {
      try {
        return await engine.score(tokens, begin(call));
      } finally {
        end(call);
      }
    },

    async cancel(call) {
      calls.get(call)?.abort();
    },

    setBudget: (budgets) => engine.setBudget(budgets),
    stats: async () => engine.stats(),
    profile: (options) => engine.profile(options),
    expertMap: async () => engine.expertMap(),
    variants: async () => engine.variants(),
    clearTuning: () => engine.clearTuning(),
    tokenize: async (text) => engine.tokenize(text),
    listStored: () => engine.listStored(),
    verifyStored: (id) => engine.verifyStored(id),
    deleteStored: (id) => engine.deleteStored(id),
    persistStorage: () => engine.persistStorage(),

    async dispose() {
      for (const controller of calls.values()) controller.abort();
      await engine.dispose();
    },
  };
}
