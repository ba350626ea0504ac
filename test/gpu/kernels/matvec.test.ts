import fc from "fast-check";
import { describe, expect } from "vitest";
import { weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { matvec } from "../../../src/kernels/matvec.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { matvecReference } from "../../reference/kernels/matvec.ts";
import {
  allFormatCases,
  encodeMatrix,
  plants,
  randomInput,
  randomMatrix,
  someCols,
  variantCases,
} from "./cases.ts";

const NUM_RUNS = 3;
/** A product with nothing done to it. */
const PLAIN = { has_bias: 0, has_residual: 0, first_row: 0, scale: 1 } as const;

describe.for(allFormatCases)("matvec, $name", ({ format, variant }) => {
  const { constants, reduce } = variant.matrix;

  kernelTest("agrees with f64", async ({ run }) => {
    const shape = fc.record({
      rows: fc.constantFrom(1, 3, 5, 13, 65),
      cols: fc.constantFrom(...someCols(format)),
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
        const { rows, cols, plant, hasBias, hasResidual, scale, seed } = drawn;
        const { rowsBefore, rowsAfter } = drawn;
        const all = rowsBefore + rows + rowsAfter;
        const random = createRandom(seed);
        const { packed, weights } = randomMatrix(random, format, rows, cols);
        const x = randomInput(random, cols, plant);
        const bias = randomInput(random, all);
        const residual = randomInput(random, all);

        const { y } = await run(matvec, {
          params: {
            rows,
            cols,
            has_bias: hasBias ? 1 : 0,
            has_residual: hasResidual ? 1 : 0,
            first_row: rowsBefore,
            all_rows: all,
            scale,
          },
          // Without its flag an input may be any buffer, and shorter: here all of it would spoil the result.
          buffers: {
            x,
            bias: hasBias ? bias : 16,
            residual: hasResidual ? residual : 16,
            y: 4 * all,
          },
          weights: packed,
          parts: [...weightParts(format), reduce],
          constants,
          control: { tokens: 1 },
        });

        const own = [rowsBefore, rowsBefore + rows] as const;
        expectWithin(
          y.floats.subarray(...own),
          matvecReference(weights, x, {
            bias: hasBias ? bias.subarray(...own) : undefined,
            scale,
            residual: hasResidual ? residual.subarray(...own) : undefined,
          }),
        );
        const others = (words: Uint32Array) =>
          words.filter((_, row) => row < own[0] || row >= own[1]);
        expect(others(y.words)).toEqual(others(y.before));
      }),
      { numRuns: NUM_RUNS },
    );
  });
});

describe.for(variantCases)(
  "matvec, $name",
  ({
    variant: {
      matrix: { constants, reduce },
    },
  }) => {
    const format = weightFormats.f32;
    const parts = [...weightParts(format), reduce];

    kernelTest("finds its row in a grid of two dimensions", async ({ run }) => {
      const rows = 5 * constants.ROWS! + 1;
      const cols = Math.max(...someCols(format));
      const random = createRandom(1);
      const { packed, weights } = randomMatrix(random, format, rows, cols);
      const x = randomInput(random, cols);

      const { y } = await run(
        { ...matvec, grid: () => [2, 3, 1] },
        {
          params: { rows, cols, ...PLAIN, all_rows: rows },
          buffers: { x, bias: 16, residual: 16, y: 4 * rows },
          weights: packed,
          parts,
          constants,
          control: { tokens: 1 },
        },
      );

      expectWithin(y.floats, matvecReference(weights, x));
    });

    kernelTest("does nothing once a router has faulted", async ({ run }) => {
      const { y } = await run(matvec, {
        params: { rows: 5, cols: 8, ...PLAIN, all_rows: 5 },
        buffers: { x: new Float32Array(8), bias: 16, residual: 16, y: 4 * 5 },
        weights: encodeMatrix(format, new Float32Array(40)).packed,
        parts,
        constants,
        control: { tokens: 1, fault: 3 },
      });

      expect(y.words).toEqual(y.before);
    });
  },
);

kernelTest("matvec's grid covers more rows than one dimension can", () => {
  const rows = 64 * 65_535 + 1;
  const [x, y, z] = matvec.grid(
    { rows, cols: 8, ...PLAIN, all_rows: rows },
    { LANES: 1, ROWS: 64 },
    1,
  );

  expect(x).toBeLessThanOrEqual(65_535);
  expect(x * y).toBeGreaterThanOrEqual(65_536);
  expect(z).toBe(1);
});
