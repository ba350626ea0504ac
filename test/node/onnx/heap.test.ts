import { expect, onTestFinished, test } from "vitest";
import { createEngine } from "../../../src/engine/engine.ts";
import { replyOf } from "../../helpers/engine.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";

const MB = 1e6;

/** Every memory that WebAssembly was given since the file began; onnxruntime-web's is the only one. */
const memories: WebAssembly.Memory[] = [];
const { Memory } = WebAssembly;
WebAssembly.Memory = class extends Memory {
  constructor(descriptor: WebAssembly.MemoryDescriptor) {
    super(descriptor);
    memories.push(this);
  }
};

/** Bytes of WebAssembly's memories: they never shrink. */
function heapBytes(): number {
  return memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
}

test("experts over the budgets come from the source; WebAssembly holds those that it computes with", async () => {
  // 25 million weights of experts: 27 MB in the file, 28 MB ready to be computed with.
  const bytes = tinyModel({
    architecture: "qwen3moe",
    ...{ layers: 2, hidden: 256, ffn: 512, experts: 32, topK: 2, format: "q8_0" },
  });
  const engine = createEngine({ gpu: undefined });
  onTestFinished(() => engine.dispose());
  await engine.load(
    new Blob([bytes]),
    { runtime: "onnx", fill: "off", gpuBudget: "10%", ramBudget: 0, diskBudget: 0 },
    {},
  );
  const loadedBytes = heapBytes();
  expect(loadedBytes).toBeGreaterThan(0);

  const prompt = Array.from({ length: 40 }, (_, i) => (37 * i) % 250);
  const { stats } = await replyOf(engine, { tokens: prompt }, { maxTokens: 40, temperature: 1 });

  // Each expert is asked for again after it has left: far more comes than 10 % of the model.
  expect(stats.loadsFromSource).toBeGreaterThan(32 * 2);
  expect(stats.loadsFromRam).toBe(0);
  expect(stats.ramBytes).toBe(0);
  expect(stats.gpuBytes).toBeLessThanOrEqual(stats.gpuBudgetBytes);
  expect(stats.residentExperts).toBeLessThanOrEqual(3 * 2);
  console.info(
    `WebAssembly: ${(loadedBytes / MB).toFixed(1)} MB when loaded, ${(heapBytes() / MB).toFixed(1)} MB after a reply`,
  );
  expect(heapBytes() - loadedBytes).toBeLessThan(4 * MB);
});
