import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cacheRows } from "../../../../src/engine/kv-cache.ts";
import { HostKvCache, type HostRows } from "../../../../src/engine/onnx/kv-rows.ts";
import { BLOCK_NUMBERS } from "../../../../src/formats/cache/format.ts";
import { type CacheFormatName, cacheFormats } from "../../../../src/formats/cache/registry.ts";
import { f16ToF32 } from "../../../../src/numeric/f16.ts";
import { createRandom, normalArray } from "../../../../src/numeric/random.ts";
import type { AttentionSpec } from "../../../../src/ops/ops.ts";
import { runs } from "../../../helpers/random-cases.ts";

interface Case {
  readonly kvHeads: number;
  readonly headDim: number;
  readonly valueDim: number;
  readonly valuesInKeys: boolean;
  readonly window: number | undefined;
  readonly chunkTokens: number;
  /** Tokens of the passes of a conversation, one behind the other. */
  readonly passes: readonly number[];
  readonly seed: number;
}

const CONTEXT = 64;

const conversation: fc.Arbitrary<Case> = fc
  .record({
    kvHeads: fc.integer({ min: 1, max: 3 }),
    headDim: fc.constantFrom(4, 20, 32, 40),
    valueDim: fc.constantFrom(4, 12, 32),
    valuesInKeys: fc.boolean(),
    window: fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
    chunkTokens: fc.integer({ min: 1, max: 16 }),
    passes: fc.array(fc.nat(), { minLength: 1, maxLength: 16 }),
    seed: fc.nat(),
  })
  .map(({ passes, chunkTokens, headDim, valueDim, ...rest }) => {
    let room = CONTEXT;
    const cut = passes.map((each) => {
      const tokens = Math.min(room, 1 + (each % chunkTokens));
      room -= tokens;
      return tokens;
    });
    return {
      ...rest,
      headDim,
      valueDim: Math.min(headDim, valueDim),
      chunkTokens,
      passes: cut.filter((tokens) => tokens > 0),
    };
  });

/** The numbers of rows as graphs compute them from what they are given: heads of `dim`, padding left out. */
function numbersOf(rows: HostRows, first: number, count: number, heads: number, dim: number) {
  const { numbers, scales } = rows.read(first, count);
  const [tokens, width] = numbers.dims as [number, number];
  expect(tokens).toBe(count);
  const stored = numbers.data as Float32Array | Uint16Array | Int8Array;
  expect(stored.length).toBe(count * width);
  const factors = scales.data as Float32Array;
  expect(factors.length).toBe(scales.dims[0]! * scales.dims[1]!);
  const padded = width / heads;
  return Float32Array.from({ length: count * heads * dim }, (_, index) => {
    const head = Math.floor(index / dim);
    const at = head * padded + (index % dim);
    if (stored instanceof Uint16Array) return f16ToF32(stored[at]!);
    return stored[at]! * (factors[Math.floor(at / BLOCK_NUMBERS)] ?? 1);
  });
}

describe.for(Object.keys(cacheFormats) as CacheFormatName[])("a cache in %s", (name) => {
  const format = cacheFormats[name];

  /** What a cache keeps of rows of heads. */
  function kept(row: Float32Array, dim: number): number[] {
    const result: number[] = [];
    for (let first = 0; first < row.length; first += dim) {
      const head = new Float32Array(Math.ceil(dim / format.headNumbers) * format.headNumbers);
      head.set(row.subarray(first, first + dim));
      result.push(...format.decode(format.encode(head)).subarray(0, dim));
    }
    return result;
  }

  test("gives each pass all that its queries may see, as it was rounded, and hides the rest", () => {
    fc.assert(
      fc.property(conversation, ({ passes, chunkTokens, seed, window, ...shape }) => {
        const { kvHeads, headDim, valueDim, valuesInKeys } = shape;
        const spec = {
          ...{ layer: 0, heads: kvHeads, kvHeads, headDim, valueDim, valuesInKeys, scale: 1 },
          ...(window !== undefined && { window }),
        } as AttentionSpec;
        const size = { contextTokens: CONTEXT, chunkTokens };
        const cache = new HostKvCache(spec, format, size);
        expect(cache.values === undefined).toBe(valuesInKeys);
        const random = createRandom(seed);
        const keys: number[][] = [];
        const values: number[][] = [];
        let position = 0;
        for (const tokens of passes) {
          const newKeys = normalArray(random, tokens * kvHeads * headDim, 1);
          const newValues = normalArray(random, tokens * kvHeads * valueDim, 1);
          cache.keys.write(position, newKeys);
          cache.values?.write(position, newValues);
          for (let token = 0; token < tokens; token++) {
            const row = (all: Float32Array, width: number) =>
              all.subarray(token * width, (token + 1) * width);
            keys.push(kept(row(newKeys, kvHeads * headDim), headDim));
            values.push(kept(row(newValues, kvHeads * valueDim), valueDim));
          }

          const { first, count } = cache.seen(position, tokens);
          const gotKeys = numbersOf(cache.keys, first, count, kvHeads, headDim);
          expect(gotKeys).toEqual(Float32Array.from(keys.slice(first, first + count).flat()));
          if (cache.values) {
            const gotValues = numbersOf(cache.values, first, count, kvHeads, valueDim);
            expect(gotValues).toEqual(Float32Array.from(values.slice(first, first + count).flat()));
          }
          const mask = cache.mask(position, tokens);
          expect(mask.dims).toEqual([tokens, count]);
          const wanted = Array.from({ length: tokens * count }, (_, index) => {
            const query = position + Math.floor(index / count);
            const key = first + (index % count);
            const isSeen = key <= query && key > query - (window ?? Number.POSITIVE_INFINITY);
            return isSeen ? 0 : Number.NEGATIVE_INFINITY;
          });
          expect(Array.from(mask.data as Float32Array)).toEqual(wanted);
          position += tokens;
        }
      }),
      { numRuns: runs(60) },
    );
  });

  test("takes the bytes of its rows, padding and scales included", () => {
    const spec = { layer: 0, heads: 4, kvHeads: 2, headDim: 40, scale: 1 } as AttentionSpec;
    const size = { contextTokens: CONTEXT, chunkTokens: 8 };
    const cache = new HostKvCache(spec, format, size);

    const padded = Math.ceil(40 / format.headNumbers) * format.headNumbers;
    const numbers = 2 * cacheRows(spec, size) * 2 * padded;
    const scales = format.scaled ? (4 * numbers) / BLOCK_NUMBERS : 0;
    expect(cache.bytes).toBe((numbers * format.bitsPerNumber) / 8 + scales);
  });
});
