import fc from "fast-check";
import { describe, expect } from "vitest";
import { weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { matmul } from "../../../src/kernels/matmul.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { matmulReference } from "../../reference/kernels/matmul.ts";
import {
  encodeMatrix,
  formatCases,
  padded,
  plants,
  randomInput,
  randomMatrix,
  someCols,
  variantCases,
} from "./cases.ts";

const NUM_RUNS = 6;
/** A product with nothing done to it. */
const PLAIN = { has_bias: 0, has_residual: 0, first_row: 0, scale: 1 } as const;
/** Tokens that a workgroup takes. */
const TOKENS = 4;

describe.for(formatCases)("matmul, $name", ({ format, variant }) => {
  const { constants, reduce } = variant.batch;

  kernelTest("agrees with f64 and leaves tokens past the last alone", async ({ run }) => {
    const shape = fc.record({
      rows: fc.constantFrom(1, 3, 5, 13, 65),
      cols: fc.constantFrom(...someCols(format)),
      tokens: fc.integer({ min: 1, max: 9 }),
      tokensPast: fc.integer({ min: 0, max: 5 }),
      plant: fc.constantFrom(...plants),
      hasBias: fc.boolean(),
      hasResidual: fc.boolean(),
      scale: fc.constantFrom(1, 0.22, -3),
      rowsBefore: fc.constantFrom(0, 3),
      rowsAfter: fc.constantFrom(0, 2),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async (drawn) => {
        const { rows, cols, tokens, tokensPast, plant, hasBias, hasResidual, scale, seed } = drawn;
        const { rowsBefore, rowsAfter } = drawn;
        const all = rowsBefore + rows + rowsAfter;
        const random = createRandom(seed);
        const { packed, weights } = randomMatrix(random, format, rows, cols);
        const x = randomInput(random, tokens * cols, plant);
        const bias = randomInput(random, all);
        const residual = randomInput(random, tokens * all);

        const { y } = await run(matmul, {
          params: {
            rows,
            cols,
            has_bias: hasBias ? 1 : 0,
            has_residual: hasResidual ? 1 : 0,
            first_row: rowsBefore,
            all_rows: all,
            scale,
          },
          buffers: {
            x: padded(x, Math.ceil(tokens / TOKENS) * TOKENS * cols),
            bias: hasBias ? bias : 16,
            residual: hasResidual ? residual : 16,
            y: 4 * all * (tokens + tokensPast),
          },
          weights: packed,
          parts: [...weightParts(format), reduce],
          constants,
          control: { tokens },
          tokens: tokens + tokensPast,
        });

        const isOwn = (_: number, index: number) =>
          index < tokens * all && index % all >= rowsBefore && index % all < rowsBefore + rows;
        expectWithin(
          y.floats.filter(isOwn),
          matmulReference(weights, x, cols, {
            bias: hasBias ? bias.subarray(rowsBefore, rowsBefore + rows) : undefined,
            scale,
            residual: hasResidual ? residual.filter(isOwn) : undefined,
          }),
        );
        const others = (words: Uint32Array) => words.filter((word, index) => !isOwn(word, index));
        expect(others(y.words)).toEqual(others(y.before));
      }),
      { numRuns: NUM_RUNS },
    );
  });
});

describe.for(variantCases)(
  "matmul, $name",
  ({
    variant: {
      batch: { constants, reduce },
    },
  }) => {
    const format = weightFormats.f32;
    const parts = [...weightParts(format), reduce];

    kernelTest("finds its row and its tokens in a grid of three dimensions", async ({ run }) => {
      const rows = 5 * constants.ROWS! + 1;
      const cols = Math.max(...someCols(format));
      const random = createRandom(1);
      const { packed, weights } = randomMatrix(random, format, rows, cols);
      const tokens = 2 * TOKENS;
      const x = randomInput(random, tokens * cols);

      const { y } = await run(
        { ...matmul, grid: () => [2, 3, 2] },
        {
          params: { rows, cols, ...PLAIN, all_rows: rows },
          buffers: { x, bias: 16, residual: 16, y: 4 * tokens * rows },
          weights: packed,
          parts,
          constants,
          control: { tokens },
        },
      );

      expectWithin(y.floats, matmulReference(weights, x, cols));
    });

    kernelTest("does nothing once a router has faulted", async ({ run }) => {
      const { y } = await run(matmul, {
        params: { rows: 5, cols: 8, ...PLAIN, all_rows: 5 },
        buffers: { x: new Float32Array(4 * 8), bias: 16, residual: 16, y: 4 * 4 * 5 },
        weights: encodeMatrix(format, new Float32Array(40)).packed,
        parts,
        constants,
        control: { tokens: 4, fault: 1 },
      });

      expect(y.words).toEqual(y.before);
    });
  },
);
