import fc from "fast-check";
import { describe, expect } from "vitest";
import { type CacheFormat, planCache } from "../../../src/formats/cache/format.ts";
import { type CacheFormatName, cacheFormats } from "../../../src/formats/cache/registry.ts";
import { packCache } from "../../../src/kernels/pack_cache.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { DIVISION } from "../../reference/kernels/bounds.ts";
import { plants, randomInput } from "./cases.ts";

const STAGED_ROWS = 4;
const ROWS = 6;
const BLOCK = 32;

/**
 * How far a packed number may be from the number, in a block whose farthest from 0 is `top`. f16: WGSL rounds either
 * way, and may take what is below the normal numbers for 0. q8_0: half a step, of a scale that is rounded up to 8 bits
 * of mantissa, and the error of the division by it.
 */
const ERRORS: Record<CacheFormatName, (number: number, top: number) => number> = {
  f32: () => 0,
  f16: (number) => Math.max(2 ** -10 * Math.abs(number), 2 ** -14),
  q8_0: (_, top) => (top / 127) * (1 + 2 ** -7) * (0.5 + 127 * DIVISION),
};

/** The largest number that f16 has: what is beyond is cut to it. */
const LARGEST_F16 = 65_504;

const packing = Object.entries(cacheFormats).filter(
  (entry): entry is [CacheFormatName, CacheFormat & { readonly write: string }] =>
    entry[1].write !== undefined,
);

describe.for(packing)("pack_cache, %s", ([name, format]) => {
  kernelTest("packs each token's row, and changes no other", async ({ run }) => {
    const drawn = fc.record({
      widths: fc.constantFrom([4, 4], [64, 64], [100, 60], [576, 0], [128, 192]),
      position: fc.integer({ min: 0, max: 20 }),
      tokens: fc.integer({ min: 1, max: STAGED_ROWS }),
      plant: fc.constantFrom(...plants),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(drawn, async ({ widths, position, tokens, plant, seed }) => {
        const random = createRandom(seed);
        const [keyWidth, valueWidth] = widths as [number, number];
        const strides = widths.map((width) => Math.ceil(width / 64) * 64) as [number, number];
        const [keyStride, valueStride] = strides;
        const staged = randomInput(random, STAGED_ROWS * (keyStride + valueStride), plant);
        const before = format.encode(randomInput(random, ROWS * (keyStride + valueStride)));
        const { scalesFirst } = planCache(format, ROWS * (keyStride + valueStride));

        const { cache } = await run(packCache, {
          params: {
            rows: ROWS,
            staged_rows: STAGED_ROWS,
            key_width: keyWidth,
            value_width: valueWidth,
            key_stride: keyStride,
            value_stride: valueStride,
            values_first: ROWS * keyStride,
            scales_first: scalesFirst,
          },
          buffers: { staged, cache: before },
          parts: [format.write],
          control: { tokens, position },
          tokens: tokens + 1,
        });

        const wanted = format.decode(before);
        const bounds = new Float64Array(wanted.length);
        for (let token = 0; token < tokens; token++) {
          const at = position + token;
          const regions = [
            { width: keyWidth, stride: keyStride, source: 0, target: 0 },
            {
              width: valueWidth,
              stride: valueStride,
              source: STAGED_ROWS * keyStride,
              target: ROWS * keyStride,
            },
          ];
          for (const { width, stride, source, target } of regions) {
            const first = source + (at % STAGED_ROWS) * stride;
            const row = staged.slice(first, first + stride).fill(0, width);
            const rowBounds = boundsOf(name, row);
            wanted.set(cut(name, row), target + (at % ROWS) * stride);
            bounds.set(rowBounds, target + (at % ROWS) * stride);
          }
        }
        expectWithin(format.decode(cache.words), { values: wanted, bounds });
      }),
      { numRuns: 12 },
    );
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const { cache } = await run(packCache, {
      params: {
        ...{ rows: 1, staged_rows: 1, key_width: 64, value_width: 64 },
        ...{ key_stride: 64, value_stride: 64, values_first: 64, scales_first: 32 },
      },
      buffers: { staged: new Float32Array(128), cache: 512 },
      parts: [format.write],
      control: { tokens: 1, fault: 1 },
    });

    expect(cache.words).toEqual(cache.before);
  });
});

function boundsOf(name: CacheFormatName, row: Float32Array): number[] {
  return Array.from(row, (number, index) => {
    const first = index - (index % BLOCK);
    const block = row.subarray(first, first + BLOCK);
    const top = block.reduce((highest, other) => Math.max(highest, Math.abs(other)), 0);
    return ERRORS[name](number, top);
  });
}

function cut(name: CacheFormatName, row: Float32Array): Float32Array {
  if (name !== "f16") return row;
  return row.map((number) => Math.min(LARGEST_F16, Math.max(-LARGEST_F16, number)));
}
