import { getLlama, LlamaLogLevel, type Token } from "node-llama-cpp";
import { type Spread, spreadOf } from "../../src/cli/bench/spread.ts";

/** llama.cpp's speeds, in tokens a second. */
export interface LlamaSpeed {
  /** What it ran on. */
  readonly device: string;
  readonly prefill: Spread;
  readonly decode: Spread;
}

/** Packages with llama.cpp's Vulkan build, by platform. */
const VULKAN_PACKAGE = `@node-llama-cpp/${process.platform}-${process.arch}-vulkan`;

/**
 * llama.cpp's Vulkan build on a GGUF, all layers on the GPU. Throws a sentence where it cannot run: the package is none of
 * Sluice's dependencies, and `npm ci` puts an empty one in its place.
 */
export async function measureLlamaVulkan(
  path: string,
  run: {
    readonly promptTokens: number;
    readonly decodeTokens: number;
    readonly repeats: number;
  },
): Promise<LlamaSpeed> {
  await expectPackage();
  const llama = await getLlama({
    gpu: "vulkan",
    build: "never",
    skipDownload: true,
    logLevel: LlamaLogLevel.error,
  });
  const device = (await llama.getGpuDeviceNames()).join(", ");
  // Without one it computes on the processor, and says nothing.
  if (device === "") throw new Error("llama.cpp found no GPU that Vulkan drives.");
  const model = await llama.loadModel({ modelPath: path, gpuLayers: "max" });
  const contextSize = run.promptTokens + run.decodeTokens + 8;
  const context = await model.createContext({ contextSize, batchSize: run.promptTokens });
  const sequence = context.getSequence();
  const vocab = model.fileInfo.metadata.tokenizer?.ggml.tokens?.length ?? 1;
  const prefill: number[] = [];
  const decode: number[] = [];
  // The first turn warms up.
  for (let turn = 0; turn <= run.repeats; turn++) {
    await sequence.clearHistory();
    const prompt = Array.from(
      { length: run.promptTokens },
      (_, index) => ((turn * 131 + index * 37) % (vocab - 8)) as Token,
    );
    const started = performance.now();
    await sequence.controlledEvaluate([
      ...prompt.slice(0, -1),
      [prompt.at(-1)!, { generateNext: { token: true } }],
    ]);
    const prefilled = performance.now();
    for (let token = 0; token < run.decodeTokens; token++) {
      const next = ((turn + token * 53) % (vocab - 8)) as Token;
      await sequence.controlledEvaluate([[next, { generateNext: { token: true } }]]);
    }
    if (turn === 0) continue;
    prefill.push((1000 * run.promptTokens) / (prefilled - started));
    decode.push((1000 * run.decodeTokens) / (performance.now() - prefilled));
  }
  await context.dispose();
  await model.dispose();
  return { device, prefill: spreadOf(prefill), decode: spreadOf(decode) };
}

/** The package exports its code alone, so that is what is asked for; the empty one that `npm ci` puts there has none. */
async function expectPackage(): Promise<void> {
  const found = await import(/* @vite-ignore */ VULKAN_PACKAGE).catch(() => undefined);
  if (typeof found?.getBinsDir === "function") return;
  throw new Error(
    `llama.cpp's Vulkan build is not installed: npm install --no-save ${VULKAN_PACKAGE}.`,
  );
}
