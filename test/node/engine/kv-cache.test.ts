import fc from "fast-check";
import { expect, test } from "vitest";
import { cacheRows, earliestReturn, kvCacheBytes } from "../../../src/engine/kv-cache.ts";
import { cacheFormats } from "../../../src/formats/cache/registry.ts";
import type { AttentionSpec } from "../../../src/ops/ops.ts";
import { runs } from "../../helpers/random-cases.ts";

const CHUNK_TOKENS = 32;

function size(contextTokens: number) {
  return { contextTokens, chunkTokens: CHUNK_TOKENS };
}

function layer(window?: number): AttentionSpec {
  const sizes = { layer: 0, heads: 1, kvHeads: 1, headDim: 4, scale: 1 };
  return window === undefined ? sizes : { ...sizes, window };
}

test("a layer that sees everything has a row for each token of the context", () => {
  expect(cacheRows(layer(), size(4096))).toBe(4096);
  expect(earliestReturn({ attention: [layer()], recurrent: [] }, size(4096), 4096)).toBe(0);
});

test("a window's ring has room for the window and the rest of a chunk, or for the context, in whole blocks", () => {
  expect(cacheRows(layer(129), size(4096))).toBe(129 + CHUNK_TOKENS - 1);
  expect(cacheRows(layer(128), size(4096))).toBe(128 + CHUNK_TOKENS);
  expect(cacheRows(layer(128), size(140))).toBe(144);
});

test.for(Object.values(cacheFormats))(
  "keys and values in $name that a window has passed take no memory, however long the context",
  (format) => {
    const bytes = [1_024, 4_096, 131_072].map((tokens) =>
      kvCacheBytes(layer(128), format, size(tokens)),
    );

    expect(new Set(bytes).size).toBe(1);
    expect(kvCacheBytes(layer(), format, size(8_192))).toBe(
      2 * kvCacheBytes(layer(), format, size(4_096)),
    );
  },
);

test("a ring can go back by a chunk once it has gone round, and anywhere before", () => {
  const attention = [layer(), layer(129)];
  const rows = 129 + CHUNK_TOKENS - 1;

  expect(earliestReturn({ attention, recurrent: [] }, size(4096), rows)).toBe(0);
  expect(earliestReturn({ attention, recurrent: [] }, size(4096), rows + 1)).toBe(
    rows + 1 - CHUNK_TOKENS,
  );
  expect(earliestReturn({ attention, recurrent: [] }, size(4096), 1000)).toBe(1000 - CHUNK_TOKENS);
});

test("a recurrent state can go nowhere but to the start", () => {
  const recurrent = [
    { kind: "short-conv", layer: 1, channels: 4, taps: 3, filter: "filter" },
  ] as const;
  expect(earliestReturn({ attention: [layer()], recurrent }, size(4096), 7)).toBe(7);
  // Unless it went back to a copy, while the caches hold what was written beyond.
  expect(earliestReturn({ attention: [layer()], recurrent }, size(4096), 7, 5)).toBe(5);
});

/** The position that each row of a ring holds after the passes `lengths`, one behind another. */
function ringAfter(rows: number, written: number): Set<number> {
  const ring = new Map<number, number>();
  for (let position = 0; position < written; position++) ring.set(position % rows, position);
  return new Set(ring.values());
}

test("from the earliest return, and from no position before it, every key of the window is there", () => {
  const windows = fc.integer({ min: 1, max: 40 });
  fc.assert(
    fc.property(windows, fc.integer({ min: 1, max: 200 }), (window, written) => {
      const context = 200;
      const held = ringAfter(cacheRows(layer(window), size(context)), written);
      const sees = (position: number) => {
        const first = Math.max(0, position - window + 1);
        return Array.from({ length: position - first }, (_, i) => first + i).every((key) =>
          held.has(key),
        );
      };

      const earliest = earliestReturn(
        { attention: [layer(window)], recurrent: [] },
        size(context),
        written,
      );

      for (let position = 1; position <= written; position++) {
        if (position >= earliest) expect(sees(position)).toBe(true);
        // A window of 1 needs no key but its own: it could go back anywhere.
        else if (window > 1) expect(sees(position)).toBe(false);
      }
    }),
    { numRuns: runs(100) },
  );
});
