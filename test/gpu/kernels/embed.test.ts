import fc from "fast-check";
import { describe, expect } from "vitest";
import { weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { embed } from "../../../src/kernels/embed.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { embedReference } from "../../reference/kernels/embed.ts";
import { encodeMatrix, formatCases, leastCols, randomMatrix } from "./cases.ts";

const NUM_RUNS = 4;
/** Weights that one workgroup takes. */
const GROUP_WEIGHTS = 64 * 8;

describe.for(formatCases.slice(0, -1))("embed, $format.name", ({ format }) => {
  const least = leastCols(format);
  const long = Math.ceil((GROUP_WEIGHTS + 1) / least) * least;

  kernelTest("copies the rows of the tokens and of no token past the last", async ({ run }) => {
    const shape = fc.record({
      hidden: fc.constantFrom(least, 3 * least, long),
      vocab: fc.constantFrom(1, 7),
      // Ids from vocab on are none: the last row stands in for theirs.
      tokenIds: fc.array(fc.integer({ min: 0, max: 7 }), { minLength: 1, maxLength: 9 }),
      scale: fc.constantFrom(1, 12),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async ({ hidden, vocab, tokenIds, scale, seed }) => {
        const { packed, weights } = randomMatrix(createRandom(seed), format, vocab, hidden);
        const tokens = tokenIds.length;

        const { y } = await run(embed, {
          params: { hidden, vocab, scale },
          buffers: { y: 4 * hidden * (tokens + 2) },
          weights: packed,
          parts: weightParts(format),
          control: { tokens, tokenIds },
          tokens: tokens + 2,
        });

        const written = tokens * hidden;
        // A GPU may lose the sign of a zero.
        expect(y.floats.subarray(0, written).map((value) => value + 0)).toEqual(
          embedReference(weights, hidden, tokenIds, scale).map((value) => value + 0),
        );
        expect(y.words.subarray(written)).toEqual(y.before.subarray(written));
      }),
      { numRuns: NUM_RUNS },
    );
  });
});

kernelTest("embed does nothing once a router has faulted", async ({ run }) => {
  const { y } = await run(embed, {
    params: { hidden: 8, vocab: 2, scale: 1 },
    buffers: { y: 4 * 8 },
    weights: encodeMatrix(weightFormats.f32, new Float32Array(16)).packed,
    parts: weightParts(weightFormats.f32),
    control: { tokens: 1, tokenIds: [1], fault: 1 },
  });

  expect(y.words).toEqual(y.before);
});
