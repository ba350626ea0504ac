import * as ort from "onnxruntime-web/webgpu";
import type { MoeWeights } from "./moe-weights.ts";
import { GRAPH_INPUT, GRAPH_OUTPUT, moeOnnx } from "./onnx-moe.ts";
import type { MoeLayer } from "./sluice-layer.ts";

/** Where the page's server has the package. */
const WASM_FOLDER = "/node_modules/onnxruntime-web/dist/";

/** The same layer in onnxruntime-web, on the GPU or in WebAssembly. */
export async function createOnnxLayer(
  weights: MoeWeights,
  tokens: number,
  provider: "webgpu" | "wasm",
): Promise<MoeLayer> {
  ort.env.wasm.wasmPaths = WASM_FOLDER;
  ort.env.wasm.numThreads = navigator.hardwareConcurrency;
  ort.env.logLevel = "error";
  const session = await ort.InferenceSession.create(moeOnnx(weights), {
    executionProviders: [provider],
  });
  const { hidden } = weights.shape;
  const x = weights.x.slice(0, tokens * hidden);
  const feeds = { [GRAPH_INPUT]: new ort.Tensor("float32", x, [tokens, hidden]) };
  const outputs = async () => {
    const { [GRAPH_OUTPUT]: y } = await session.run(feeds);
    return (await y!.getData()) as Float32Array;
  };
  return {
    outputs,
    async run() {
      await outputs();
    },
    dispose: () => void session.release(),
  };
}

/** Threads that its WebAssembly has. */
export function onnxThreads(): number {
  return ort.env.wasm.numThreads ?? 1;
}
