import { SluiceError } from "../errors.ts";
import type { GpuContext } from "../gpu/device.ts";
import { OnnxRuntime } from "../onnx/runtime.ts";
import type { LoadOptions, RuntimeWanted } from "../rpc/api.ts";
import type { ThreadOptions } from "./onnx/experts/computer.ts";
import { usualThreads } from "./onnx/experts/thread-count.ts";
import type { EngineHost } from "./types.ts";

/** What a model is run by, and why. */
export type Runtime =
  | { readonly name: "webgpu"; readonly reason: string; readonly context: GpuContext }
  | {
      readonly name: "onnx";
      readonly reason: string;
      readonly onnx: OnnxRuntime;
      readonly threads: ThreadOptions;
      readonly expandedBytes: number | undefined;
    };

const WANTED: readonly RuntimeWanted[] = ["auto", "webgpu", "onnx"];

/** What the runtime depends on. */
export interface RuntimeOptions
  extends Pick<LoadOptions, "runtime" | "onnxFolder" | "onnxThreads"> {
  readonly host: Pick<EngineHost, "fallsBack" | "expandedBytes" | "startThread">;
  /** Opens the GPU. Throws as `openGpu`. */
  readonly open: () => Promise<GpuContext>;
}

/**
 * Chooses what runs a model: WebGPU where it runs on a GPU, otherwise onnxruntime-web, if the host lets that be chosen.
 * Throws "bad-input", "no-adapter", "missing-feature".
 */
export async function chooseRuntime({
  runtime: wanted = "auto",
  onnxFolder,
  onnxThreads,
  host,
  open,
}: RuntimeOptions): Promise<Runtime> {
  if (!WANTED.includes(wanted)) {
    throw new SluiceError(
      "bad-input",
      `runtime is ${JSON.stringify(wanted)}; it must be one of ${WANTED.join(", ")}.`,
    );
  }
  if (onnxThreads !== undefined && !(Number.isInteger(onnxThreads) && onnxThreads > 0)) {
    throw new SluiceError(
      "bad-input",
      `onnxThreads is ${onnxThreads}; it must be a whole number, at least 1.`,
    );
  }
  const { fallsBack, expandedBytes, startThread: start } = host;
  const onnxFor = async (reason: string): Promise<Runtime> => {
    const onnx = await OnnxRuntime.load({ folder: onnxFolder });
    const threads = onnxThreads ?? usualThreads(globalThis.navigator?.hardwareConcurrency ?? 1);
    const options = { threads, start, folder: onnxFolder };
    return { name: "onnx", reason, onnx, threads: options, expandedBytes };
  };
  const asked = "it was asked for";
  if (wanted === "onnx") return onnxFor(asked);
  if (wanted === "webgpu") return { name: "webgpu", reason: asked, context: await open() };
  let context: GpuContext;
  try {
    context = await open();
  } catch (error) {
    if (!fallsBack || !(error instanceof SluiceError)) throw error;
    if (error.code !== "no-adapter" && error.code !== "missing-feature") throw error;
    return onnxFor(reasonOf(error));
  }
  if (!fallsBack || !context.software) {
    return { name: "webgpu", reason: "there is an adapter", context };
  }
  try {
    return await onnxFor(
      `the adapter (${context.adapterName}) runs on the processor, where WebAssembly is faster`,
    );
  } catch {
    // A slow adapter is better than none.
    return { name: "webgpu", reason: "onnxruntime-web could not be loaded", context };
  }
}

/** A sentence's beginning, as a reason. */
function reasonOf({ message }: SluiceError): string {
  const [first = message] = message.split(". ");
  return first.charAt(0).toLowerCase() + first.slice(1).replace(/\.$/, "");
}
