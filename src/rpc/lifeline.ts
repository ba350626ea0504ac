import type { Endpoint } from "comlink";
import { SluiceError } from "../errors.ts";

/** Rejects the calls to a worker that will never answer: Comlink leaves them pending. */
export interface Lifeline {
  /** What `call` returns, or the reason of the end if that comes first. */
  run<Result>(call: () => Promise<Result>): Promise<Result>;
  /** {@link run}, and the end if there is no answer in time. */
  within<Result>(timeoutMs: number, call: () => Promise<Result>): Promise<Result>;
  /** Rejects every call, those to come too, and ends the worker. Only the first end counts. */
  end(reason: SluiceError): void;
  ended(): boolean;
}

/** Watches `worker`, and owns it: its end is the worker's. */
export function createLifeline(worker: Endpoint & { terminate?(): void }): Lifeline {
  const waiting = new Set<(reason: SluiceError) => void>();
  let reason: SluiceError | undefined;

  function end(why: SluiceError): void {
    if (reason) return;
    reason = why;
    for (const reject of waiting) reject(why);
    waiting.clear();
    worker.terminate?.();
  }

  function run<Result>(call: () => Promise<Result>): Promise<Result> {
    if (reason) return Promise.reject(reason);
    return new Promise<Result>((resolve, reject) => {
      waiting.add(reject);
      (async () => call())()
        .then(resolve, (error) => reject(explainClone(error)))
        .finally(() => waiting.delete(reject));
    });
  }

  async function within<Result>(timeoutMs: number, call: () => Promise<Result>): Promise<Result> {
    const timer = setTimeout(() => end(silent(timeoutMs)), timeoutMs);
    try {
      return await run(call);
    } finally {
      clearTimeout(timer);
    }
  }

  worker.addEventListener("error", (event) => end(failed(event)));
  worker.addEventListener("messageerror", () => end(unreadable()));
  // A port closes when its other end goes away; a worker has no such event.
  worker.addEventListener("close", () => end(closed()));
  return { run, within, end, ended: () => reason !== undefined };
}

function died(sentence: string): SluiceError {
  return new SluiceError("worker-died", `${sentence} Connect to a new worker.`);
}

function failed(event: Event): SluiceError {
  const { message, filename, lineno } = event as Partial<ErrorEvent>;
  if (message) return died(`The worker failed: ${message} (${filename}:${lineno}).`);
  return died(
    'The worker\'s script did not load. Check its URL, and that it is a module worker: new Worker(url, { type: "module" }).',
  );
}

function unreadable(): SluiceError {
  return died("A message of the worker could not be read.");
}

function closed(): SluiceError {
  return died("The worker closed its end.");
}

function silent(timeoutMs: number): SluiceError {
  return died(
    `The worker did not answer within ${timeoutMs / 1000} s. Check that its script imports "sluice/worker".`,
  );
}

/** What cannot be cloned is the caller's mistake: a function among the options, say. */
function explainClone(error: unknown): unknown {
  if (!(error instanceof DOMException) || error.name !== "DataCloneError") return error;
  return new SluiceError(
    "bad-input",
    `An argument cannot be sent to the worker: ${error.message}`,
    {
      cause: error,
    },
  );
}
