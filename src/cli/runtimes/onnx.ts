import { availableParallelism } from "node:os";
import { usualThreads } from "../../onnx/runtime.ts";
import type { Job, JobHooks, ResultOf, Task } from "../job.ts";
import { runInProcess } from "./in-process.ts";

/** Runs the engine in this process, without any GPU: onnxruntime-web's WebAssembly computes. */
export function onnx<Work extends Task>(job: Job<Work>, hooks: JobHooks): Promise<ResultOf<Work>> {
  // Node 20 does not tell the engine how many cores there are.
  const onnxThreads = usualThreads(availableParallelism());
  const load = { onnxThreads, ...job.load, runtime: "onnx" } as const;
  const host = { gpu: undefined, importOnnx: () => import("onnxruntime-web") };
  return runInProcess(host, { ...job, load }, hooks);
}
