import fc from "fast-check";
import { describe, expect } from "vitest";
import { weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { HEAD_OUTPUTS, headLinear } from "../../../src/kernels/head_linear.ts";
import { amongStrangers, headParts, variants } from "../../../src/kernels/parts.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import {
  type HeadShape,
  headLinearReference,
  headLinearTransposedReference,
} from "../../reference/kernels/head_linear.ts";
import {
  encodeMatrix,
  leastCols,
  padded,
  plants,
  randomInput,
  randomMatrix,
  variantCases,
} from "./cases.ts";

const NUM_RUNS = runs(6);

/** Matvec is tried with every format; all that counts here is which unit is asked for. */
const FORMATS = [weightFormats.f32, weightFormats.q8_0];

const REFERENCES = {
  rows: headLinearReference,
  columns: headLinearTransposedReference,
} as const;

function paramsOf({ heads, headRows, firstRow, rows, cols, xWidth }: HeadShape) {
  return {
    heads,
    head_rows: headRows,
    first_row: firstRow,
    rows,
    head_cols: cols,
    x_width: xWidth,
  };
}

describe.for(["rows", "columns"] as const)("head_linear by %s", (by) => {
  const reference = REFERENCES[by];
  const transposed = by === "columns";
  const OUTPUTS = HEAD_OUTPUTS[by];

  describe.for(variantCases)("$name", ({ variant }) => {
    const { reduce, constants } = transposed ? amongStrangers(variant.matrix) : variant.matrix;

    kernelTest("agrees with f64 and leaves tokens past the last alone", async ({ run }) => {
      const drawing = fc.record({
        format: fc.constantFrom(...FORMATS),
        heads: fc.integer({ min: 1, max: 3 }),
        rows: fc.constantFrom(1, 5, 65),
        rowsBefore: fc.constantFrom(0, 3),
        rowsAfter: fc.constantFrom(0, 2),
        blocks: fc.constantFrom(1, 3),
        xPast: fc.constantFrom(0, 4),
        many: fc.boolean(),
        tokens: fc.integer({ min: 1, max: 6 }),
        plant: fc.constantFrom(...plants),
        seed: fc.integer(),
      });
      await fc.assert(
        fc.asyncProperty(drawing, async (drawn) => {
          const { format, heads, rows, rowsBefore, rowsAfter, blocks, xPast } = drawn;
          const { tokens, plant, seed } = drawn;
          const atOnce = drawn.many ? 4 : 1;
          const cols = blocks * leastCols(format);
          const headRows = rowsBefore + rows + rowsAfter;
          const xWidth = (transposed ? Math.ceil(rows / 4) * 4 : cols) + xPast;
          const shape = { heads, headRows, firstRow: rowsBefore, rows, cols, xWidth };
          const outWidth = heads * (transposed ? cols : rows);
          const random = createRandom(seed);
          const { packed, weights } = randomMatrix(random, format, heads * headRows, cols);
          const x = randomInput(random, tokens * heads * xWidth, plant);

          const { y } = await run(headLinear, {
            params: paramsOf(shape),
            buffers: {
              x: padded(x, Math.ceil(tokens / atOnce) * atOnce * heads * xWidth),
              y: 4 * outWidth * (tokens + 1),
            },
            weights: packed,
            parts: [...weightParts(format), headParts[by], reduce],
            constants: { ...constants, TOKENS: atOnce, OUTPUTS },
            control: { tokens },
            tokens: tokens + 1,
          });

          const written = tokens * outWidth;
          expectWithin(y.floats.subarray(0, written), reference(weights, x, shape));
          expect(y.words.subarray(written)).toEqual(y.before.subarray(written));
        }),
        { numRuns: NUM_RUNS },
      );
    });
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const format = weightFormats.f32;
    const shape = { heads: 2, headRows: 8, firstRow: 0, rows: 8, cols: 8, xWidth: 8 };
    const { y } = await run(headLinear, {
      params: paramsOf(shape),
      buffers: { x: new Float32Array(16), y: 4 * 16 },
      weights: encodeMatrix(format, new Float32Array(128)).packed,
      parts: [...weightParts(format), headParts[by], variants.serial.matrix.reduce],
      constants: { ...variants.serial.matrix.constants, OUTPUTS },
      control: { tokens: 1, fault: 1 },
    });

    expect(y.words).toEqual(y.before);
  });
});
