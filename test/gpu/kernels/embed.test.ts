import fc from "fast-check";
import { describe, expect } from "vitest";
import { weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { embed } from "../../../src/kernels/embed.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { embedReference } from "../../reference/kernels/embed.ts";
import { encodeMatrix, formatCases, leastCols, randomMatrix } from "./cases.ts";

const NUM_RUNS = runs(4);
/** A table, or some of its rows. */
interface Part {
  readonly vocab: number;
  readonly firstRow?: number;
  readonly rows?: number;
}

/** Weights that one workgroup takes. */
const GROUP_WEIGHTS = 64 * 8;

describe.for(formatCases.slice(0, -1))("embed, $format.name", ({ format }) => {
  const least = leastCols(format);
  const long = Math.ceil((GROUP_WEIGHTS + 1) / least) * least;

  kernelTest("copies the rows of the tokens and of no token past the last", async ({ run }) => {
    const shape = fc.record({
      hidden: fc.constantFrom(least, 3 * least, long),
      // Rows 2 to 5 of 7 are a part of a table in several buffers.
      part: fc.constantFrom({ vocab: 1 }, { vocab: 7 }, { vocab: 7, firstRow: 2, rows: 3 }),
      // Ids from vocab on are none: the last row stands in for theirs.
      tokenIds: fc.array(fc.integer({ min: 0, max: 7 }), { minLength: 1, maxLength: 9 }),
      scale: fc.constantFrom(1, 12),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async ({ hidden, part, tokenIds, scale, seed }) => {
        const { vocab, firstRow = 0, rows = vocab } = part as Part;
        const { packed, weights } = randomMatrix(createRandom(seed), format, rows, hidden);
        const tokens = tokenIds.length;

        const { y } = await run(embed, {
          params: { hidden, vocab, first_row: firstRow, rows, scale },
          buffers: { y: 4 * hidden * (tokens + 2) },
          weights: packed,
          parts: weightParts(format),
          control: { tokens, tokenIds },
          tokens: tokens + 2,
        });

        const ids = tokenIds.map((id) => Math.min(id, vocab - 1) - firstRow);
        for (let token = 0; token < tokens + 2; token++) {
          const row = [token * hidden, (token + 1) * hidden] as const;
          const id = ids[token] ?? rows;
          if (id < 0 || id >= rows) {
            expect(y.words.slice(...row)).toEqual(y.before.slice(...row));
            continue;
          }
          // A GPU may lose the sign of a zero.
          expect(y.floats.slice(...row).map((value) => value + 0)).toEqual(
            embedReference(weights, hidden, [id], scale).map((value) => value + 0),
          );
        }
      }),
      { numRuns: NUM_RUNS },
    );
  });
});

kernelTest("embed does nothing once a router has faulted", async ({ run }) => {
  const { y } = await run(embed, {
    params: { hidden: 8, vocab: 2, first_row: 0, rows: 2, scale: 1 },
    buffers: { y: 4 * 8 },
    weights: encodeMatrix(weightFormats.f32, new Float32Array(16)).packed,
    parts: weightParts(weightFormats.f32),
    control: { tokens: 1, tokenIds: [1], fault: 1 },
  });

  expect(y.words).toEqual(y.before);
});
