import { startNodeThread } from "../../src/cli/runtimes/node-thread.ts";
import type { ThreadPort } from "../../src/engine/onnx/experts/messages.ts";

/** The script of the command's threads, from source. */
export const THREAD_SCRIPT = new URL("../../src/cli/expert-thread.mjs", import.meta.url);

/** Starts threads as the command does; `opened` has them. */
export function nodeThreads() {
  const opened: ThreadPort[] = [];
  return {
    opened,
    start(): ThreadPort {
      const port = startNodeThread(THREAD_SCRIPT);
      opened.push(port);
      return port;
    },
  };
}
