import { expect, test } from "vitest";
import { reportModel } from "../../../src/cli/report.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";

const HIDDEN = 64;
const model = tinyModel({
  ...{ architecture: "granitehybrid", layers: 3, hidden: HIDDEN, ffn: 32, headDim: 16 },
});

async function gpuOf(contextTokens: number) {
  const { signal } = new AbortController();
  const options = { contextTokens, gpuBudget: undefined, kvCache: undefined, signal };
  return (await reportModel(memorySource(model), options)).gpu;
}

test("counts a recurrent state once for each layer that has one, whatever the context", async () => {
  const [short, long] = [await gpuOf(64), await gpuOf(128)];
  const inner = 2 * HIDDEN;
  // The last 3 inputs of the convolution, b and c of both groups among them, and 16 values for each dimension.
  const inputs = 3 * (inner + 2 * 2 * 16);

  expect(short.stateBytes).toBe(2 * 4 * (inputs + inner * 16));
  expect(long.stateBytes).toBe(short.stateBytes);
  expect(long.kvCacheBytes).toBe(2 * short.kvCacheBytes);
  for (const gpu of [short, long]) {
    const { weightBytes, kvCacheBytes, stateBytes, scratchBytes, residentBytes } = gpu;
    expect(residentBytes).toBe(weightBytes + kvCacheBytes + stateBytes + scratchBytes);
  }
});
/** Two layers: a ring of 8 + 31 rows, and one of the whole context of 100, both in whole blocks of 8. */
const MODEL = tinyModel({
  ...{ architecture: "gpt-oss", window: 8, experts: 4 },
  ...{ hidden: 64, ffn: 64, heads: 4, kvHeads: 2, headDim: 32 },
});

test.for([
  ["f32", 4],
  ["f16", 2],
  ["q8_0", 1.125],
] as const)(
  "counts keys and values in %s, and a window's ring as it is",
  async ([kvCache, bytes]) => {
    const { gpu } = await reportModel(memorySource(MODEL), {
      contextTokens: 100,
      kvCache,
      gpuBudget: undefined,
      signal: new AbortController().signal,
    });

    expect(gpu.kvCache).toBe(kvCache);
    expect(gpu.kvCacheBytes).toBe((40 + 104) * 128 * bytes);
    expect(gpu.residentBytes).toBe(gpu.weightBytes + gpu.kvCacheBytes + gpu.scratchBytes);
  },
);

test("finds from the header what kernels cannot compute", async () => {
  const model = tinyModel({
    ...{ architecture: "qwen3moe", experts: 513, hidden: 8, ffn: 8, heads: 1, kvHeads: 1 },
    ...{ headDim: 8, layers: 1 },
  });

  await expect(
    reportModel(memorySource(model), {
      contextTokens: 16,
      kvCache: undefined,
      gpuBudget: undefined,
      signal: new AbortController().signal,
    }),
  ).rejects.toMatchObject({
    code: "unsupported-model",
    message: expect.stringContaining("the number of experts of layer 0 is 513"),
  });
});
