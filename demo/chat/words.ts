import type { EngineStats, RuntimeReport, RuntimeWanted } from "../../src/index.ts";
import { plural } from "./format.ts";

/** What computes. */
export type RuntimeName = RuntimeReport["name"];

/**
 * What the page calls its places and figures: experts are computed on the GPU, or in WebAssembly from a form that is made of
 * what their file has.
 */
export interface Words {
  /** Of an expert that can be computed at once. */
  readonly first: string;
  /** The same, brought there by a predictor and not asked for yet. */
  readonly firstAhead: string;
  /** Of one in the tier below. */
  readonly ram: string;
  /** Heads of the table's columns for these two places. */
  readonly firstHead: string;
  readonly ramHead: string;
  /** What the bytes of that first place are called. */
  readonly memory: string;
  /** Of experts that a reply asked for. */
  readonly found: string;
  /** Of the bytes of experts that were brought there. */
  readonly brought: string;
  /** Of the steps of a token. */
  readonly steps: string;
  /** Where an expert comes from, in sentences. */
  readonly lower: string;
}

/** The {@link Words} for each runtime. */
export const WORDS: Readonly<Record<RuntimeName, Words>> = {
  webgpu: {
    first: "on the GPU",
    firstAhead: "on the GPU ahead of its use",
    ram: "in RAM",
    firstHead: "GPU",
    ramHead: "RAM",
    memory: "GPU memory used",
    found: "Found on the GPU",
    brought: "Uploaded to the GPU",
    steps: "Dispatches a token",
    lower:
      "An expert that is not on the GPU comes from RAM, else from disk, else from where the model came from,",
  },
  onnx: {
    first: "ready to compute",
    firstAhead: "made ready ahead of its use",
    ram: "packed in RAM",
    firstHead: "Ready",
    ramHead: "Packed",
    memory: "Memory used",
    found: "Found ready",
    brought: "Made ready",
    steps: "Graphs a token",
    lower:
      "An expert that is not ready to compute is unpacked: from RAM, else from disk, else from where the model came from,",
  },
};

/** What will compute, as far as the page can tell before a model is loaded. */
export function expectRuntime(wanted: RuntimeWanted, hasWebGpu: boolean): RuntimeName {
  if (wanted !== "auto") return wanted;
  return hasWebGpu ? "webgpu" : "onnx";
}

/** What computes, in a few words. */
export function describeAdapter({ adapter, runtime }: Pick<EngineStats, "adapter" | "runtime">) {
  return runtime.name === "webgpu" ? adapter : describeThreads(runtime);
}

/** What computes and why, in a sentence; empty while nothing does. */
export function describeRuntime(stats: Pick<EngineStats, "runtime"> | undefined): string {
  if (!stats) return "";
  const { name, reason } = stats.runtime;
  if (name === "webgpu") return `Runs on WebGPU: ${reason}.`;
  return `Runs in ${describeThreads(stats.runtime)}: ${reason}.`;
}

function describeThreads({ threads = 1 }: RuntimeReport): string {
  return `WebAssembly (${plural(threads, "thread")})`;
}
