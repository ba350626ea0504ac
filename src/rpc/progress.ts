import { proxy, type Remote, releaseProxy } from "comlink";
import type { LoadProgress } from "./api.ts";

type ProgressListener = (progress: LoadProgress) => void;

/** `listener` as it crosses to the worker. Its own errors go to the page's error event: they are not the worker's. */
export function progressListener(listener: ProgressListener): ProgressListener {
  return proxy((progress) => {
    try {
      listener(progress);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  });
}

/** The worker's end of a {@link progressListener}. */
export interface ProgressForwarder {
  send(progress: LoadProgress): void;
  /** Waits until everything sent has arrived, and lets go of the listener. */
  close(): Promise<void>;
}

/** Sends to `listener`, which came from the page. */
export function forwardProgress(listener: ProgressListener): ProgressForwarder {
  const remote = listener as Remote<ProgressListener>;
  let arrived: Promise<unknown> = Promise.resolve();
  return {
    send(progress) {
      arrived = remote(progress);
    },
    async close() {
      await arrived;
      remote[releaseProxy]();
    },
  };
}
