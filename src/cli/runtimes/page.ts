import { abortError, SluiceError } from "../../errors.ts";
import type { Job, JobHooks, PageAssets, ResultOf, Task } from "../job.ts";
import type { PageEvent } from "../page/events.ts";
import { startPageServer } from "./page-server.ts";

/** What a browser tells of its page. */
export interface PageWatcher {
  /** A line of the page's console. */
  onLine(line: string): void;
  /** The page or the browser is gone; `sentence` has no full stop. */
  onGone(sentence: string): void;
}

/** Opens `url` in a browser of its own and returns what closes that. */
export type OpenPage = (url: string, watcher: PageWatcher) => Promise<() => Promise<void>>;

/** A page that has said nothing for that long will not start. */
const START_TIMEOUT_MS = 120_000;

/** Does `job` in a page that the command serves itself, and which tells back by requests. */
export async function runInPage<Work extends Task>(
  job: Job<Work>,
  hooks: JobHooks,
  assets: PageAssets,
  open: OpenPage,
): Promise<ResultOf<Work>> {
  let settle!: Settle;
  const outcome = new Promise<ResultOf<Work>>((resolve, reject) => {
    // The page was given this task, so this is what it answers.
    settle = { resolve: (result) => resolve(result as ResultOf<Work>), reject };
  });
  outcome.catch(() => {}); // it may come while the browser still opens
  const fail = (sentence: string) => settle.reject(new SluiceError("worker-died", sentence));
  const starting = setTimeout(() => fail("The page did not start."), START_TIMEOUT_MS);
  const onAbort = () => settle.reject(abortError("The command"));
  hooks.signal.addEventListener("abort", onAbort);

  const server = await startPageServer(job, assets, (event) => {
    clearTimeout(starting);
    receive(event, hooks, settle);
  });
  let close: (() => Promise<void>) | undefined;
  try {
    close = await open(server.url, {
      onLine: hooks.onLog,
      onGone: (sentence) => fail(`${sentence}.`),
    });
    return await outcome;
  } finally {
    clearTimeout(starting);
    hooks.signal.removeEventListener("abort", onAbort);
    await close?.();
    await server.close();
  }
}

/** How a job ends. */
interface Settle {
  resolve(result: ResultOf<Task>): void;
  reject(error: unknown): void;
}

function receive(event: PageEvent, hooks: JobHooks, settle: Settle): void {
  switch (event.kind) {
    case "started":
      break;
    case "progress":
      hooks.onProgress(event.progress);
      break;
    case "model":
      hooks.onModel(event.model);
      break;
    case "chunk":
      hooks.onChunk?.(event.chunk);
      break;
    case "window":
      hooks.onWindow?.(event.window);
      break;
    case "status":
      hooks.onStatus?.(event.line);
      break;
    case "result":
      settle.resolve(event.result);
      break;
    case "error":
      settle.reject(readError(event));
      break;
    default:
      event satisfies never;
  }
}

function readError({ code, message, stack }: PageEvent & { kind: "error" }): Error {
  if (code) return new SluiceError(code, message);
  return Object.assign(new Error(message), stack === undefined ? {} : { stack });
}
