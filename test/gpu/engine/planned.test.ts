import { afterAll, expect, test } from "vitest";
import { reportModel } from "../../../src/cli/report.ts";
import { createEngine } from "../../../src/engine/engine.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import { type TinyModelOptions, tinyModel } from "../../helpers/tiny-models.ts";

/** `inspect` leaves out buffers of a few bytes and what their sizes are rounded up by. */
const TOLERANCE = 0.005;

const SMALL = { hidden: 64, ffn: 64, heads: 4, kvHeads: 2, headDim: 32, format: "q8_0" } as const;

const MODELS: readonly TinyModelOptions[] = [
  { architecture: "smallthinker", ...SMALL },
  { architecture: "gpt-oss", ...SMALL, window: 8 },
  { architecture: "granitehybrid", ...SMALL, layers: 3, experts: 4 },
  {
    ...{ architecture: "deepseek2", ...SMALL, layers: 3, headDim: 48 },
    latent: { rank: 64, queryRank: 0, valueDim: 32, isSplit: true },
  },
];

const engine = createEngine({ gpu: navigator.gpu });
afterAll(() => engine.dispose());

test.for(MODELS)("inspect plans what the engine takes for $architecture", async (shape) => {
  const model = tinyModel(shape);
  // What lanes that split the keys of a conversation write in between is not planned: no device is known.
  const options = { contextTokens: 128, variants: "serial" } as const;
  const info = await engine.load(model.buffer, options, {});
  const { gpu } = await reportModel(memorySource(model), {
    contextTokens: 128,
    kvCache: undefined,
    gpuBudget: undefined,
    signal: new AbortController().signal,
  });

  expect(Math.abs(gpu.minGpuBudgetBytes / info.minGpuBudgetBytes - 1)).toBeLessThan(TOLERANCE);
  expect(Math.abs(gpu.fullGpuBudgetBytes / info.fullGpuBudgetBytes - 1)).toBeLessThan(TOLERANCE);
  expect(gpu.kvCacheBytes).toBe(info.kvCacheBytes);
});
