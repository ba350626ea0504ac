import { afterAll, describe, expect, test } from "vitest";
import { commands } from "vitest/browser";
import { createEngine } from "../../../src/engine/engine.ts";
import { type CacheFormatName, cacheFormats } from "../../../src/formats/cache/registry.ts";
import { loadCold, replyOf } from "../../helpers/engine.ts";
import { type TinyModelOptions, tinyModel } from "../../helpers/tiny-models.ts";
import { greatestDifference } from "../../helpers/within.ts";

/** Tokens of a pass over a prompt in models so small. */
const CHUNK_TOKENS = 32;

/** Every second layer's ring has 8 + 31 rows, and one that fills a block; all experts are used, so that no error changes which. */
const MODEL: TinyModelOptions = {
  ...{ architecture: "gpt-oss", window: 8, layers: 3, experts: 2, topK: 2 },
  ...{ hidden: 64, ffn: 64, heads: 4, kvHeads: 2, headDim: 32 },
};

/** Goes round the ring twice. */
const TEXT = Array.from({ length: 90 }, (_, index) => (index * 37 + 5) % 300);

/**
 * How far a log-probability may be from llama.cpp's, whose cache is f32. In f32: as in test/gpu/parity.test.ts. Packed
 * ones are measured, with room for other adapters' rounding: 2e-2 in f16, and 3e-1 in q8_0, whose steps are 20 times as
 * wide (kernels are held to derived bounds by their own tests).
 */
const TOLERANCES: Record<CacheFormatName, number> = { f32: 2e-3, f16: 6e-2, q8_0: 1 };

const engine = createEngine({ gpu: navigator.gpu });
afterAll(() => engine.dispose());

describe.for(Object.keys(cacheFormats) as CacheFormatName[])("a cache in %s", (kvCache) => {
  test("gives llama.cpp's scores of a text longer than the windows", async () => {
    const oracle = await commands.oracle({ ...MODEL, prompt: TEXT, steps: 8 });
    await loadCold(engine, new URL(oracle.url, location.href).href, { kvCache });

    const { logprobs } = await engine.score([...oracle.prompt, ...oracle.tokens]);

    const difference = greatestDifference(logprobs, oracle.scores);
    console.info(`scores with a cache in ${kvCache} differ by ${difference.toExponential(1)}`);
    expect(difference).toBeLessThan(TOLERANCES[kvCache]);
  });

  test("a conversation that goes past the windows, is edited and goes on is as if it were new", async () => {
    const model = tinyModel(MODEL).buffer;
    const load = () => loadCold(engine, model, { kvCache });
    const reply = async (tokens: readonly number[]) => {
      const reads = countReads();
      try {
        const { tokens: answer } = await replyOf(engine, { tokens }, { maxTokens: 6 });
        return { answer, prefillPasses: reads.count - answer.length + 1 };
      } finally {
        reads.restore();
      }
    };
    await load();
    const first = await reply(TEXT);
    const grown = [...TEXT, ...first.answer, 7, 8, 9];
    // The first pass could be kept, were its keys still in the rings.
    const edited = grown.with(CHUNK_TOKENS + 8, 200);

    const told = { grown: await reply(grown), edited: await reply(edited) };
    await load();
    const anew = { grown: await reply(grown) };
    await load();
    const other = { edited: await reply(edited) };

    expect(told.grown.answer).toEqual(anew.grown.answer);
    expect(told.edited.answer).toEqual(other.edited.answer);
    expect(told.grown.prefillPasses).toBe(1);
    expect(told.edited.prefillPasses).toBe(Math.ceil(edited.length / CHUNK_TOKENS));
  });
});

test("queries, keys and values of one matrix give llama.cpp's scores", async () => {
  const sizes = { hidden: 64, ffn: 64, heads: 4, kvHeads: 2, headDim: 32 };
  const oracle = await commands.oracle({ architecture: "llama", fused: true, ...sizes, steps: 2 });
  const url = new URL(oracle.url, location.href).href;
  const scores: number[][] = [];
  for (const kvCache of ["f32", "f16"] as const) {
    await loadCold(engine, url, { kvCache });
    const { logprobs } = await engine.score([...oracle.prompt, ...oracle.tokens]);
    scores.push([...logprobs]);
  }

  expect(greatestDifference(scores[0]!, oracle.scores)).toBeLessThan(TOLERANCES.f32);
  expect(greatestDifference(scores[1]!, oracle.scores)).toBeLessThan(TOLERANCES.f16);
});

test("takes fewer bytes where keys and values are packed, and a window's ring is short", async () => {
  const bytes = new Map<CacheFormatName, number>();
  for (const kvCache of Object.keys(cacheFormats) as CacheFormatName[]) {
    const info = await engine.load(tinyModel(MODEL).buffer, { kvCache, fill: "off" }, {});
    expect(info.kvCache).toBe(kvCache);
    bytes.set(kvCache, info.kvCacheBytes);
  }

  // Two layers of 40 rows and one of 256, of 64 keys and 64 values.
  const numbers = (2 * 40 + 256) * 128;
  expect(bytes.get("f32")).toBe(4 * numbers);
  expect(bytes.get("f16")).toBe(2 * numbers);
  expect(bytes.get("q8_0")).toBe(numbers + numbers / 8);
});

test("takes as many dispatches whatever the format", async () => {
  const dispatches = new Set<number>();
  for (const kvCache of Object.keys(cacheFormats) as CacheFormatName[]) {
    await loadCold(engine, tinyModel(MODEL).buffer, { kvCache });
    const { stats } = await replyOf(engine, { tokens: [5, 6, 7] }, { maxTokens: 3 });
    dispatches.add(stats.dispatchesPerToken);
  }

  expect(dispatches.size).toBe(1);
});

test("refuses a format that there is not", async () => {
  const load = engine.load(tinyModel(MODEL).buffer, { kvCache: "q4_0" as never }, {});

  await expect(load).rejects.toMatchObject({
    code: "bad-input",
    message: 'kvCache is "q4_0"; it must be one of f32, f16, q8_0.',
  });
});

/** Counts readbacks, of which a pass takes one where all experts are there, until `restore`. */
function countReads() {
  const original = GPUBuffer.prototype.mapAsync;
  const reads = {
    count: 0,
    restore() {
      GPUBuffer.prototype.mapAsync = original;
    },
  };
  GPUBuffer.prototype.mapAsync = function (...args) {
    reads.count++;
    return original.apply(this, args);
  };
  return reads;
}
