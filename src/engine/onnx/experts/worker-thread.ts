import type { FromHelper, ThreadPort, ToHelper } from "./messages.ts";

/** How workers are named that help to compute experts. */
const THREAD_NAME = "sluice-experts";

/** What a worker's global scope has of what is used here. */
interface WorkerScope {
  readonly name?: string;
  readonly location?: { readonly href: string };
  readonly importScripts?: (url: string) => void;
  onmessage: ((event: MessageEvent<ToHelper>) => void) | null;
  postMessage(message: FromHelper): void;
}

const scope = globalThis as unknown as WorkerScope;

/** Whether this worker was started by {@link startExpertThread}. */
export function isExpertThread(): boolean {
  return scope.name === THREAD_NAME;
}

/**
 * Starts a worker that helps this one to compute experts. It runs this one's own script, so that no bundler has to find
 * another: the script asks {@link isExpertThread}, and then calls {@link runExpertThread}.
 */
export function startExpertThread(): ThreadPort {
  const worker = new Worker(scope.location!.href, {
    type: isClassicWorker() ? "classic" : "module",
    name: THREAD_NAME,
  });
  return {
    post: (message) => worker.postMessage(message),
    listen(onMessage, onFailure) {
      worker.onmessage = (event: MessageEvent<FromHelper>) => onMessage(event.data);
      worker.onerror = (event) => onFailure(event.message || "it did not load");
      worker.onmessageerror = () => onFailure("it sent what cannot be read");
    },
    close: () => worker.terminate(),
  };
}

/** Makes this worker the thread that it was started as. */
export async function runExpertThread(): Promise<void> {
  const { helpWithExperts } = await import("./helper.ts");
  helpWithExperts({
    post: (message) => scope.postMessage(message),
    listen(onMessage) {
      scope.onmessage = (event) => onMessage(event.data);
    },
  });
}

/**
 * Whether this worker's script is no module: in modules `importScripts` throws a TypeError whatever it is given, in Firefox if
 * that is anything; elsewhere what is imported here does nothing, or may not be imported.
 */
function isClassicWorker(): boolean {
  try {
    scope.importScripts!("data:text/javascript,");
    return true;
  } catch (error) {
    return !(error instanceof TypeError);
  }
}
