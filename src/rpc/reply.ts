import type { GenerateResult, ReplyStep, TokenChunk } from "./api.ts";

/**
 * A reply as it comes. It starts when its first piece is asked for; each piece is computed when it is asked for, and
 * leaving the loop stops the reply.
 */
export interface Reply extends AsyncIterable<TokenChunk> {
  /**
   * The whole reply, once it has ended; rejects with what stopped it. Reading this property lets the reply run to its
   * end with nobody looping over it; pieces that came meanwhile wait for a loop.
   */
  readonly result: Promise<GenerateResult>;
}

/** The far end of a reply. */
export interface ReplySource {
  start(): Promise<void>;
  next(): Promise<ReplyStep>;
  /** Never rejects. */
  cancel(): void;
}

/** A {@link Reply} that pulls its pieces from `source`, one call at a time, and cancels it when `signal` fires. */
export function createReply(source: ReplySource, signal: AbortSignal | undefined): Reply {
  const pieces: TokenChunk[] = [];
  let state: "new" | "running" | "ended" = "new";
  let pulling: Promise<void> | undefined;
  let settle!: { resolve(result: GenerateResult): void; reject(error: unknown): void };
  const result = new Promise<GenerateResult>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // A loop throws the same error; nobody has to look at `result` too.
  result.catch(() => {});

  /** Takes one piece, or the end, from the source. Does not reject: what failed is in `result`. */
  function pull(): Promise<void> {
    pulling ??= takeStep().finally(() => {
      pulling = undefined;
    });
    return pulling;
  }

  async function takeStep(): Promise<void> {
    try {
      if (state === "new") await start();
      const step = await source.next();
      if (!step.done) pieces.push(step.chunk);
      else end(() => settle.resolve(step.result));
    } catch (error) {
      end(() => settle.reject(error));
    }
  }

  function start(): Promise<void> {
    state = "running";
    const started = source.start();
    // After the start: a call must be known at the far end before it can be cancelled.
    if (signal?.aborted) source.cancel();
    else signal?.addEventListener("abort", source.cancel);
    return started;
  }

  function end(report: () => void): void {
    state = "ended";
    signal?.removeEventListener("abort", source.cancel);
    report();
  }

  async function drain(): Promise<void> {
    while (state !== "ended") await pull();
  }

  return {
    get result() {
      void drain();
      return result;
    },
    [Symbol.asyncIterator]: () => ({
      async next() {
        while (pieces.length === 0 && state !== "ended") await pull();
        const value = pieces.shift();
        if (value) return { done: false, value };
        await result;
        return { done: true, value: undefined };
      },
      async return() {
        if (state === "running") source.cancel();
        if (state !== "new") await drain();
        pieces.length = 0;
        return { done: true, value: undefined };
      },
    }),
  };
}
