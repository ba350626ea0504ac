import { availableParallelism } from "node:os";
import { usualThreads } from "../../engine/onnx/experts/thread-count.ts";
import type { Job, JobHooks, PageAssets, ResultOf, Task } from "../job.ts";
import { runInProcess } from "./in-process.ts";
import { startNodeThread } from "./node-thread.ts";

/** Runs the engine in this process, without any GPU: onnxruntime-web's WebAssembly computes. */
export function onnx<Work extends Task>(
  job: Job<Work>,
  hooks: JobHooks,
  { expertThread }: PageAssets,
): Promise<ResultOf<Work>> {
  // Node 20 does not tell the engine how many cores there are.
  const onnxThreads = usualThreads(availableParallelism());
  const load = { onnxThreads, ...job.load, runtime: "onnx" } as const;
  const host = { gpu: undefined, startThread: () => startNodeThread(expertThread) };
  return runInProcess(host, { ...job, load }, hooks);
}
