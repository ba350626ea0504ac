import { describe, expect, test } from "vitest";
import { planCache } from "../../../src/formats/cache/format.ts";
import { type CacheFormatName, cacheFormats } from "../../../src/formats/cache/registry.ts";
import { createRandom, normalArray } from "../../../src/numeric/random.ts";

/** The largest error of a number in a block whose farthest from 0 is `top`. */
const ERRORS: Record<CacheFormatName, (top: number) => number> = {
  f32: () => 0,
  f16: (top) => 2 ** -11 * top + 2 ** -25,
  q8_0: (top) => (0.5 * top) / 127,
};

describe.for(Object.values(cacheFormats))("a cache in $name", (format) => {
  const numbers = normalArray(createRandom(3), 6 * 64).map((value, index) =>
    index < 64 ? value * 1e-6 : index < 128 ? 0 : value,
  );

  test("is near the numbers that went in", () => {
    const decoded = format.decode(format.encode(numbers));

    expect(decoded).toHaveLength(numbers.length);
    for (const [index, value] of decoded.entries()) {
      const block = numbers.subarray(index - (index % 32), index - (index % 32) + 32);
      const top = block.reduce((highest, other) => Math.max(highest, Math.abs(other)), 0);
      const bound = ERRORS[format.name as CacheFormatName](top);
      expect(Math.abs(value - numbers[index]!)).toBeLessThanOrEqual(bound * (1 + 1e-6));
    }
  });

  test("takes as many words as are planned", () => {
    expect(format.encode(numbers)).toHaveLength(planCache(format, numbers.length).words);
  });
});

test("bytes of 1024 numbers", () => {
  const bytes = Object.values(cacheFormats).map((format) => 4 * planCache(format, 1024).words);

  expect(bytes).toEqual([4096, 2048, 1152]);
});
