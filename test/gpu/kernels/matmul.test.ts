import fc from "fast-check";
import { describe, expect } from "vitest";
import { weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { matmul, TILE_TOKENS } from "../../../src/kernels/matmul.ts";
import { matvec, NO_VECTOR, TILE_ROWS } from "../../../src/kernels/matvec.ts";
import {
  inputParts,
  matricesParts,
  rowDotsConstants,
  rowDotsParts,
} from "../../../src/kernels/parts.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { productReference } from "../../reference/kernels/product.ts";
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
import { packVectors, randomNorm, tileInputNames } from "./inputs.ts";

const NUM_RUNS = runs(4);
/** A product with nothing done to it. */
const PLAIN = { bias: NO_VECTOR, has_residual: 0, first_row: 0, scale: 1, epsilon: 0 } as const;

const CASES = formatCases.flatMap((each) =>
  tileInputNames.map((input) => ({ ...each, input, name: `${each.name}, ${input} input` })),
);

describe.for(CASES)("matmul, $name", ({ format, variant, input }) => {
  const { constants, reduce } = variant.batch;
  const parts = [...weightParts(format), inputParts[input], reduce];

  kernelTest("agrees with f64 and leaves other rows and tokens alone", async ({ run }) => {
    const shape = fc.record({
      rows: fc.constantFrom(1, 3, 5, 13, 65),
      cols: fc.constantFrom(...someCols(format)),
      tokens: fc.integer({ min: 1, max: 2 * TILE_TOKENS + 1 }),
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
        const bias = hasBias ? randomInput(random, rows) : undefined;
        const norm = randomNorm(random, input, cols);
        const vectors = packVectors(norm, [bias]);
        const residual = randomInput(random, tokens * all);

        const { y } = await run(matmul, {
          params: {
            rows,
            cols,
            bias: vectors.starts[0]!,
            first_row: rowsBefore,
            all_rows: all,
            has_residual: hasResidual ? 1 : 0,
            scale,
            epsilon: norm?.epsilon ?? 0,
          },
          buffers: {
            x: padded(x, Math.ceil(tokens / TILE_TOKENS) * TILE_TOKENS * cols),
            vectors: vectors.content,
            residual: hasResidual ? residual : 16,
            y: 4 * all * (tokens + tokensPast),
          },
          weights: packed,
          parts,
          constants,
          control: { tokens },
          tokens: tokens + tokensPast,
        });

        const isOwn = (_: number, index: number) =>
          index < tokens * all && index % all >= rowsBefore && index % all < rowsBefore + rows;
        expectWithin(
          y.floats.filter(isOwn),
          productReference(weights, x, cols, {
            norm,
            bias,
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

  kernelTest("gives the bits of matvec for each token", async ({ run }) => {
    const shape = fc.record({
      rows: fc.constantFrom(1, 13, 66),
      cols: fc.constantFrom(...someCols(format)),
      tokens: fc.integer({ min: 1, max: TILE_TOKENS + 2 }),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async ({ rows, cols, tokens, seed }) => {
        const random = createRandom(seed);
        const { packed } = randomMatrix(random, format, rows, cols);
        const x = randomInput(random, Math.ceil(tokens / TILE_TOKENS) * TILE_TOKENS * cols);
        const norm = randomNorm(random, input, cols);
        const vectors = packVectors(norm, [randomInput(random, rows)]);
        const params = {
          cols,
          first_row: 0,
          all_rows: rows,
          has_residual: 1,
          scale: 0.22,
          epsilon: norm?.epsilon ?? 0,
        };
        const buffers = {
          x,
          vectors: vectors.content,
          residual: randomInput(random, tokens * rows),
          y: 4 * tokens * rows,
        };
        const shared = { buffers, weights: packed, control: { tokens } };

        const batch = await run(matmul, {
          ...shared,
          params: { ...params, rows, bias: vectors.starts[0]! },
          parts,
          constants,
        });
        const single = await run(matvec, {
          ...shared,
          params: {
            ...params,
            rows_a: rows,
            rows_b: 0,
            rows_c: 0,
            bias_a: vectors.starts[0]!,
            bias_b: NO_VECTOR,
            bias_c: NO_VECTOR,
          },
          parts: [
            ...rowDotsParts(format, "a"),
            matricesParts[0],
            inputParts[input],
            variant.matrix.reduce,
          ],
          constants: rowDotsConstants(variant.matrix),
        });

        expect(batch.y.words).toEqual(single.y.words);
      }),
      { numRuns: NUM_RUNS },
    );
  });
});

describe.for(variantCases)("matmul, $name", ({ variant: { batch } }) => {
  const { constants, reduce } = batch;
  const format = weightFormats.f32;
  const parts = [...weightParts(format), inputParts.plain, reduce];

  kernelTest("finds its row and its tokens in a grid of three dimensions", async ({ run }) => {
    const rows = 4 * TILE_ROWS * constants.ROWS! + 1;
    const cols = Math.max(...someCols(format));
    const random = createRandom(1);
    const { packed, weights } = randomMatrix(random, format, rows, cols);
    const tokens = 2 * TILE_TOKENS;
    const x = randomInput(random, tokens * cols);

    const { y } = await run(
      // Five workgroups of rows, so one too many.
      { ...matmul, grid: () => [2, 3, 2] },
      {
        params: { rows, cols, ...PLAIN, all_rows: rows },
        buffers: { x, vectors: 16, residual: 16, y: 4 * tokens * rows },
        weights: packed,
        parts,
        constants,
        control: { tokens },
      },
    );

    expectWithin(y.floats, productReference(weights, x, cols));
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const { y } = await run(matmul, {
      params: { rows: 5, cols: 8, ...PLAIN, all_rows: 5 },
      buffers: { x: new Float32Array(TILE_TOKENS * 8), vectors: 16, residual: 16, y: 4 * 4 * 5 },
      weights: encodeMatrix(format, new Float32Array(40)).packed,
      parts,
      constants,
      control: { tokens: 4, fault: 1 },
    });

    expect(y.words).toEqual(y.before);
  });
});
