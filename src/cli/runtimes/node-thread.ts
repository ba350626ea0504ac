import { Worker } from "node:worker_threads";
import type { FromHelper, ThreadPort } from "../../engine/onnx/experts/messages.ts";

/** Starts a thread of Node that helps to compute experts. */
export function startNodeThread(script: URL): ThreadPort {
  const worker = new Worker(script);
  return {
    post: (message) => worker.postMessage(message),
    listen(onMessage, onFailure) {
      worker.on("message", (message: FromHelper) => onMessage(message));
      worker.on("error", (error) => onFailure(String(error)));
      worker.on("exit", () => onFailure("it ended"));
    },
    close: () => void worker.terminate(),
  };
}
