import { expect, test } from "vitest";
import { reportModel } from "../../../src/cli/report.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";

/** Two layers: a ring of 8 + 31 rows, and one of the whole context. */
const MODEL = tinyModel({
  ...{ architecture: "gpt-oss", window: 8, experts: 4 },
  ...{ hidden: 64, ffn: 64, heads: 4, kvHeads: 2, headDim: 32 },
});

test.for([
  ["f32", 4],
  ["f16", 2],
  ["q8_0", 1.0625],
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
    expect(gpu.kvCacheBytes).toBe((39 + 100) * 128 * bytes);
    expect(gpu.residentBytes).toBe(gpu.weightBytes + gpu.kvCacheBytes + gpu.scratchBytes);
  },
);
