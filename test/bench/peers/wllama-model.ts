import { Wllama } from "@wllama/wllama/esm/index.js";
import type { ModelSpeed, RunningModel } from "./models.ts";

/** Where the page's server has the package's WebAssembly. */
const WASM = "/node_modules/@wllama/wllama/esm/wasm/wllama.wasm";

/** Offloads every layer. */
const ALL_LAYERS = 99_999;

/** How llama.cpp says how much of a model is on the GPU. */
const OFFLOADED = /offloaded (\d+\/\d+) layers to GPU/;

/**
 * A GGUF in wllama. Throws a sentence where its WebGPU build cannot start: without shader-f16 it runs on the CPU and says
 * nothing, so that is looked at first.
 */
export async function loadWllama(
  file: Blob,
  {
    where,
    context,
    threads,
  }: { readonly where: "cpu" | "webgpu"; readonly context: number; readonly threads: number },
): Promise<RunningModel> {
  if (where === "webgpu") await expectWebgpu();
  const lines: string[] = [];
  const listen = (...words: unknown[]) => void lines.push(words.map(String).join(" "));
  const wllama = new Wllama(
    { default: WASM },
    { logger: { debug: listen, log: listen, warn: listen, error: listen } },
  );
  try {
    await wllama.loadModel([file], {
      n_ctx: context,
      n_gpu_layers: where === "webgpu" ? ALL_LAYERS : 0,
      n_threads: threads,
    });
  } catch (error) {
    throw new Error(`It did not load the model: ${error instanceof Error ? error.message : error}`);
  }
  const offloaded = lines.map((line) => OFFLOADED.exec(line)?.[1]).find(Boolean);
  const count = `${wllama.getNumThreads()} threads`;
  return {
    note: where === "webgpu" && offloaded ? `${offloaded} layers on the GPU` : count,
    async reply(prompt, tokens): Promise<ModelSpeed> {
      const answer = await wllama.createCompletion({
        prompt,
        max_tokens: tokens,
        temp: 0,
        ignore_eos: true,
        // The server inside would go on from what a prompt shares with the one before.
        ...{ cache_prompt: false },
      });
      const { timings } = answer;
      if (!timings) throw new Error("It tells no times.");
      return {
        prefill: (1000 * timings.prompt_n) / timings.prompt_ms,
        decode: (1000 * timings.predicted_n) / timings.predicted_ms,
      };
    },
    dispose: () => wllama.exit(),
  };
}

async function expectWebgpu(): Promise<void> {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) throw new Error("There is no WebGPU adapter.");
  if (!adapter.features.has("shader-f16")) {
    throw new Error("It needs shader-f16, which this adapter does not have.");
  }
  if (!("Suspending" in WebAssembly)) {
    throw new Error(
      "It needs WebAssembly's JavaScript promise integration, which this browser lacks.",
    );
  }
}
