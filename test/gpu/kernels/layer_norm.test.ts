import fc from "fast-check";
import { describe, expect } from "vitest";
import { weightFormats } from "../../../src/formats/registry.ts";
import { layerNorm } from "../../../src/kernels/layer_norm.ts";
import { matvec, NO_VECTOR } from "../../../src/kernels/matvec.ts";
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
import { layerNormReference } from "../../reference/kernels/layer_norm.ts";
import { plants, randomInput, randomMatrix, variantCases } from "./cases.ts";
import type { InputName } from "./inputs.ts";

const NUM_RUNS = runs(10);
/** A matvec of one matrix with nothing done to its products. */
const ONE_MATRIX = {
  rows_b: 0,
  rows_c: 0,
  bias_a: NO_VECTOR,
  bias_b: NO_VECTOR,
  bias_c: NO_VECTOR,
  first_row: 0,
  has_residual: 0,
  scale: 1,
} as const;

describe.for(variantCases)("layer_norm, $name", ({ variant }) => {
  const { constants } = variant.norm;

  kernelTest("agrees with f64 and leaves tokens past the last alone", async ({ run }) => {
    const shape = fc.record({
      width: fc.constantFrom(4, 12, 52, 512, 516, 1028),
      tokens: fc.integer({ min: 1, max: 5 }),
      epsilon: fc.constantFrom(1e-5, 1),
      centred: fc.boolean(),
      // A mean far from 0, which the squares must not swallow.
      mean: fc.constantFrom(0, 10),
      plant: fc.constantFrom(...plants),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async (drawn) => {
        const { width, tokens, epsilon, centred, mean, plant, seed } = drawn;
        const random = createRandom(seed);
        const x = randomInput(random, tokens * width, plant).map((value) => value + mean);
        const weight = randomInput(random, width);
        const bias = randomInput(random, width);

        const { y } = await run(layerNorm, {
          params: { width, epsilon, centred: centred ? 1 : 0 },
          buffers: {
            x,
            weight_bias: Float32Array.of(...weight, ...bias),
            y: 4 * width * (tokens + 1),
          },
          constants,
          control: { tokens },
          tokens: tokens + 1,
        });

        const written = tokens * width;
        expectWithin(
          y.floats.subarray(0, written),
          layerNormReference(x, weight, bias, { epsilon: Math.fround(epsilon), centred }),
        );
        expect(y.words.subarray(written)).toEqual(y.before.subarray(written));
      }),
      { numRuns: NUM_RUNS },
    );
  });

  kernelTest("has the bits of a product that takes it on its way", async ({ run }) => {
    const [rows, cols] = [9, 1028 + 4];
    const random = createRandom(3);
    const matrix = randomMatrix(random, weightFormats.f32, rows, cols);
    const x = randomInput(random, cols).map((value) => value + 3);
    const vectors = Float32Array.from(randomInput(random, 2 * cols));
    const product = async (input: InputName, read: Float32Array) => {
      const { y } = await run(matvec, {
        params: { ...ONE_MATRIX, rows_a: rows, all_rows: rows, cols, epsilon: 1e-5 },
        buffers: { x: read, vectors, residual: 16, y: 4 * rows },
        weights: matrix.packed,
        parts: [
          ...rowDotsParts(weightFormats.f32, "a"),
          matricesParts[0],
          inputParts[input],
          variant.matrix.reduce,
        ],
        constants: rowDotsConstants(variant.matrix),
        control: { tokens: 1 },
      });
      return y.words;
    };

    for (const [input, centred] of [
      ["layerNormed", 1],
      ["uncentred", 0],
    ] as const) {
      const { y } = await run(layerNorm, {
        params: { width: cols, epsilon: 1e-5, centred },
        buffers: { x, weight_bias: vectors, y: 4 * cols },
        constants,
        control: { tokens: 1 },
      });

      expect(await product(input, x)).toEqual(await product("plain", y.floats));
    }
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const { y } = await run(layerNorm, {
      params: { width: 8, epsilon: 1, centred: 1 },
      buffers: { x: new Float32Array(8), weight_bias: new Float32Array(16), y: 4 * 8 },
      constants,
      control: { tokens: 1, fault: 1 },
    });

    expect(y.words).toEqual(y.before);
  });
});
