import fc from "fast-check";
import { describe, expect } from "vitest";
import type { WeightFormat } from "../../../src/formats/format.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
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
  allFormatCases,
  encodeMatrix,
  plants,
  randomInput,
  randomMatrix,
  someCols,
  variantCases,
} from "./cases.ts";
import { inputNames, packVectors, randomNorm } from "./inputs.ts";

const NUM_RUNS = runs(4);
/** Matrices side by side. */
const MOST = matricesParts.length;
/** Products of one matrix with nothing done to them. */
const PLAIN = {
  rows_b: 0,
  rows_c: 0,
  bias_a: NO_VECTOR,
  bias_b: NO_VECTOR,
  bias_c: NO_VECTOR,
  first_row: 0,
  has_residual: 0,
  scale: 1,
  epsilon: 0,
} as const;

/** The parts that read matrices of `formats`, each in a buffer of its own. */
function matrixParts(formats: readonly WeightFormat[]): readonly string[] {
  return [
    ...formats.flatMap((format, binding) => rowDotsParts(format, "abc"[binding]!, { binding })),
    matricesParts[formats.length - 1]!,
  ];
}

/**
 * Every format first of one, two or three matrices, those that follow it beside it, with either variant and input: one
 * combination a format, so that each is met several times.
 */
const CASES = allFormatCases.map(({ format, variant, name }, index) => {
  const formats = Array.from(
    { length: 1 + (index % MOST) },
    (_, next) => allFormatCases[(index + next) % allFormatCases.length]!.format,
  );
  const input = inputNames[Math.floor(index / 6) % inputNames.length]!;
  const others = formats.slice(1).map((other) => ` and ${other.name}`);
  return { name: `${name}${others.join("")}, ${input} input`, format, formats, variant, input };
});

describe.for(CASES)("matvec, $name", ({ formats, variant, input }) => {
  const { reduce } = variant.matrix;
  const constants = rowDotsConstants(variant.matrix);
  const parts = [...matrixParts(formats), inputParts[input], reduce];
  const widest = formats.reduce((a, b) => (a.blockWeights >= b.blockWeights ? a : b));

  kernelTest("agrees with f64 and leaves other rows and tokens alone", async ({ run }) => {
    const matrix = fc.record({
      rows: fc.constantFrom(1, 3, 5, 13, 65),
      hasBias: fc.boolean(),
    });
    const shape = fc.record({
      matrices: fc.array(matrix, { minLength: formats.length, maxLength: formats.length }),
      cols: fc.constantFrom(...someCols(widest)),
      tokens: fc.integer({ min: 1, max: 3 }),
      tokensPast: fc.integer({ min: 0, max: 2 }),
      plant: fc.constantFrom(...plants),
      hasResidual: fc.boolean(),
      scale: fc.constantFrom(1, 0.22, -3),
      rowsBefore: fc.constantFrom(0, 3),
      rowsAfter: fc.constantFrom(0, 2),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async (drawn) => {
        const { cols, tokens, tokensPast, plant, hasResidual, scale, rowsBefore, seed } = drawn;
        const random = createRandom(seed);
        const matrices = drawn.matrices.map(({ rows, hasBias }, index) => ({
          ...randomMatrix(random, formats[index]!, rows, cols),
          rows,
          bias: hasBias ? randomInput(random, rows) : undefined,
        }));
        const all = matrices.reduce((sum, { rows }) => sum + rows, rowsBefore + drawn.rowsAfter);
        const x = randomInput(random, tokens * cols, plant);
        const norm = randomNorm(random, input, cols);
        const vectors = packVectors(
          norm,
          matrices.map(({ bias }) => bias),
        );
        const residual = randomInput(random, tokens * all);
        const biasOf = (index: number) => vectors.starts[index] ?? NO_VECTOR;

        const { y } = await run(matvec, {
          params: {
            cols,
            rows_a: matrices[0]!.rows,
            rows_b: matrices[1]?.rows ?? 0,
            rows_c: matrices[2]?.rows ?? 0,
            bias_a: biasOf(0),
            bias_b: biasOf(1),
            bias_c: biasOf(2),
            first_row: rowsBefore,
            all_rows: all,
            has_residual: hasResidual ? 1 : 0,
            scale,
            epsilon: norm?.epsilon ?? 0,
          },
          // Without its flag a residual may be any buffer, and shorter: here all of it would spoil the result.
          buffers: {
            x,
            vectors: vectors.content,
            residual: hasResidual ? residual : 16,
            y: 4 * all * (tokens + tokensPast),
          },
          weights: matrices.map(({ packed }) => packed),
          parts,
          constants,
          control: { tokens },
          tokens: tokens + tokensPast,
        });

        let first = rowsBefore;
        const others = new Set(y.words.keys());
        for (const { rows, weights, bias } of matrices) {
          const own = (_: number, index: number) =>
            index < tokens * all && index % all >= first && index % all < first + rows;
          expectWithin(
            y.floats.filter(own),
            productReference(weights, x, cols, {
              norm,
              bias,
              scale,
              residual: hasResidual ? residual.filter(own) : undefined,
            }),
          );
          for (const index of y.words.keys()) if (own(0, index)) others.delete(index);
          first += rows;
        }
        for (const index of others) expect(y.words[index]).toBe(y.before[index]);
      }),
      { numRuns: NUM_RUNS },
    );
  });
});

describe.for(variantCases)("matvec, $name", ({ variant: { matrix } }) => {
  const { reduce } = matrix;
  const constants = rowDotsConstants(matrix);
  const format = weightFormats.f32;
  const group = TILE_ROWS * constants.FOURS! * constants.ROWS!;

  kernelTest("finds matrix and row in a grid of two dimensions", async ({ run }) => {
    const rows = [group + 1, group, 2 * group - 1] as const;
    const cols = Math.max(...someCols(format));
    const random = createRandom(1);
    const matrices = rows.map((own) => randomMatrix(random, format, own, cols));
    const x = randomInput(random, 2 * cols);
    const all = rows.reduce((a, b) => a + b);

    const { y } = await run(
      // Five workgroups of rows, so one too many.
      { ...matvec, grid: () => [2, 3, 2] },
      {
        params: {
          ...PLAIN,
          cols,
          rows_a: rows[0],
          rows_b: rows[1],
          rows_c: rows[2],
          all_rows: all,
        },
        buffers: { x, vectors: 16, residual: 16, y: 4 * 2 * all },
        weights: matrices.map(({ packed }) => packed),
        parts: [...matrixParts([format, format, format]), inputParts.plain, reduce],
        constants,
        control: { tokens: 2 },
      },
    );

    const weights = Float32Array.from(matrices.flatMap((each) => [...each.weights]));
    expectWithin(y.floats, productReference(weights, x, cols));
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const { y } = await run(matvec, {
      params: { ...PLAIN, rows_a: 5, cols: 8, all_rows: 5 },
      buffers: { x: new Float32Array(8), vectors: 16, residual: 16, y: 4 * 5 },
      weights: encodeMatrix(format, new Float32Array(40)).packed,
      parts: [...matrixParts([format]), inputParts.plain, reduce],
      constants,
      control: { tokens: 1, fault: 3 },
    });

    expect(y.words).toEqual(y.before);
  });
});

kernelTest("matvec's grid covers more rows than one dimension can", () => {
  const rows = 64 * 65_535;
  const [x, y, z] = matvec.grid(
    { ...PLAIN, rows_a: rows, rows_b: 1, cols: 8, all_rows: rows + 1 },
    { LANES: 1, ROWS: 64 / TILE_ROWS },
    3,
  );

  expect(x).toBeLessThanOrEqual(65_535);
  expect(x * y).toBeGreaterThanOrEqual(65_536);
  expect(z).toBe(3);
});
