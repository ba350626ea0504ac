import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine } from "../../src/engine/types.ts";
import { type CacheFormatName, cacheFormats } from "../../src/formats/cache/registry.ts";
import { type CreateEngine, loadCold, replyOf } from "../helpers/engine.ts";
import { logprobOf } from "../helpers/logprob.ts";
import { type TinyModelOptions, tinyModel } from "../helpers/tiny-models.ts";
import { greatestDifference } from "../helpers/within.ts";
import { openReferenceModel } from "../reference/model.ts";

/** Tokens of a pass over a prompt in models so small. */
const CHUNK_TOKENS = 32;

const SIZES = { hidden: 64, ffn: 64, heads: 4, kvHeads: 2, headDim: 32 } as const;

/** Every second layer's ring has 8 + 31 rows, and one that fills a block; all experts are used, so that no error changes which. */
const RINGS: TinyModelOptions = {
  ...{ architecture: "gpt-oss", window: 8, layers: 3, experts: 2, topK: 2 },
  ...SIZES,
};

/** Models whose caches are of all kinds. */
const MODELS: Readonly<Record<string, TinyModelOptions>> = {
  "keys and values in rings": RINGS,
  "keys and values of one matrix": { architecture: "llama", fused: true, ...SIZES },
  // Heads are padded to whole blocks.
  "rows that are keys and values": {
    ...{ architecture: "deepseek2", layers: 2, experts: 2, topK: 2, ...SIZES, headDim: 48 },
    latent: { rank: 40, queryRank: 0, valueDim: 24, isSplit: true },
  },
};

/** Goes round the rings twice. */
const TEXT = Array.from({ length: 90 }, (_, index) => (index * 37 + 5) % 300);

/**
 * How far a log-probability may be from that of f64 with a cache that rounds likewise: by what f32 loses, near 1e-5 (see
 * test/suites/parity.ts), and because a number that f32 has moved may be rounded to the other side, by a step of its
 * format: 2^-11 of itself in f16 (some GPUs round either way), 2^-7 of the largest number of its block in q8_0.
 * Measured: 2e-5, 1.5e-3 and 6.4e-3 at most; what the rounding itself costs is 2e-2 in f16 and 3e-1 in q8_0.
 */
const TOLERANCES: Readonly<Record<CacheFormatName, number>> = { f32: 2e-4, f16: 6e-3, q8_0: 3e-2 };

/** Defines the tests of keys and values in all formats of a cache. */
export function testKvCaches(createEngine: CreateEngine): void {
  let engine: Engine;
  beforeAll(() => {
    engine = createEngine();
  });
  afterAll(() => engine.dispose());

  describe.for(Object.keys(cacheFormats) as CacheFormatName[])("a cache in %s", (kvCache) => {
    test.for(Object.entries(MODELS))("gives the scores of f64: %s", async ([name, options]) => {
      const model = tinyModel(options);
      const reference = await openReferenceModel(model, { kvCache: cacheFormats[kvCache] });
      const expected = TEXT.slice(0, -1).map((token, index) =>
        logprobOf(reference.run([token]).logits, TEXT[index + 1]!),
      );
      await loadCold(engine, model.buffer, { kvCache });

      const { logprobs } = await engine.score(TEXT);

      const difference = greatestDifference(logprobs, expected);
      console.info(`${name} in ${kvCache}: scores differ by ${difference.toExponential(1)}`);
      expect(difference).toBeLessThan(TOLERANCES[kvCache]);
    });

    test("a conversation that goes past the windows, is edited and goes on is as if it were new", async () => {
      const model = tinyModel(RINGS).buffer;
      const load = () => loadCold(engine, model, { kvCache });
      const reply = async (tokens: readonly number[]) => {
        const { tokens: answer, trace } = await replyOf(
          engine,
          { tokens },
          { maxTokens: 6, trace: true },
        );
        return { answer, prefillPasses: trace!.passes!.length - answer.length + 1 };
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

  test("takes fewer bytes where keys and values are packed, and a window's ring is short", async () => {
    const bytes = new Map<CacheFormatName, number>();
    for (const kvCache of Object.keys(cacheFormats) as CacheFormatName[]) {
      const info = await engine.load(tinyModel(RINGS).buffer, { kvCache, fill: "off" }, {});
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
      await loadCold(engine, tinyModel(RINGS).buffer, { kvCache });
      const { stats } = await replyOf(engine, { tokens: [5, 6, 7] }, { maxTokens: 3 });
      dispatches.add(stats.dispatchesPerToken);
    }

    expect(dispatches.size).toBe(1);
  });

  test("refuses a format that there is not", async () => {
    const load = engine.load(tinyModel(RINGS).buffer, { kvCache: "q4_0" as never }, {});

    await expect(load).rejects.toMatchObject({
      code: "bad-input",
      message: 'kvCache is "q4_0"; it must be one of f32, f16, q8_0.',
    });
  });
}
