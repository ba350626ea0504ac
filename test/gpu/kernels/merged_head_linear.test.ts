import fc from "fast-check";
import { describe, expect } from "vitest";
import { weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { attentionMerge } from "../../../src/kernels/attention_merge.ts";
import { HEAD_OUTPUTS, headLinear } from "../../../src/kernels/head_linear.ts";
import { mergedHeadLinear } from "../../../src/kernels/merged_head_linear.ts";
import { headParts } from "../../../src/kernels/parts.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { encodeMatrix, leastCols, randomInput, randomMatrix, variantCases } from "./cases.ts";

const SPAN_KEYS = 8;
const SPLITS = 12;

describe.for(variantCases)("merged_head_linear, $name", ({ variant }) => {
  const { reduce, constants } = variant.matrix;

  kernelTest("gives the bits of attention_merge and head_linear", async ({ run }) => {
    const drawing = fc.record({
      format: fc.constantFrom(weightFormats.f32, weightFormats.q8_0),
      heads: fc.integer({ min: 1, max: 3 }),
      rows: fc.constantFrom(1, 5, 65),
      rowsBefore: fc.constantFrom(0, 3),
      blocks: fc.constantFrom(1, 3),
      position: fc.constantFrom(0, 7, 8, 60, 8 * (SPLITS - 1)),
      window: fc.constantFrom(1000, 1, 33),
      hasSinks: fc.constantFrom(0, 1),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(drawing, async (drawn) => {
        const { format, heads, rows, rowsBefore, position, window } = drawn;
        const cols = drawn.blocks * leastCols(format);
        const random = createRandom(drawn.seed);
        const headRows = rowsBefore + rows;
        const { packed } = randomMatrix(random, format, heads * headRows, cols);
        const parts = randomInput(random, heads * SPLITS * (cols + 4));
        // The sums of weights: some above 0.
        for (let part = 0; part < heads * SPLITS; part++) parts[part * (cols + 4) + 1] = 1 + part;
        const sinks = randomInput(random, heads);
        const merging = {
          heads,
          value_quads: cols / 4,
          window,
          span_keys: SPAN_KEYS,
          splits: SPLITS,
          has_sinks: drawn.hasSinks,
        };
        const heading = {
          heads,
          head_rows: headRows,
          first_row: rowsBefore,
          rows,
          head_cols: cols,
        };
        const params = { ...heading, x_width: cols };
        const control = { tokens: 1, position };
        const linked = [...weightParts(format), headParts.rows, reduce];

        const once = await run(mergedHeadLinear, {
          params: { ...params, ...merging },
          buffers: { parts, sinks, y: 4 * heads * rows },
          weights: packed,
          parts: linked,
          constants,
          control,
        });
        const merged = await run(attentionMerge, {
          params: merging,
          buffers: { parts, sinks, out: 4 * heads * cols },
          control,
        });
        const products = await run(headLinear, {
          params,
          buffers: { x: merged.out.floats, y: 4 * heads * rows },
          weights: packed,
          parts: linked,
          constants: { ...constants, TOKENS: 1, OUTPUTS: HEAD_OUTPUTS.rows },
          control,
        });

        expect(once.y.words).toEqual(products.y.words);
      }),
      { numRuns: runs(8) },
    );
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const format = weightFormats.f32;
    const { y } = await run(mergedHeadLinear, {
      params: {
        ...{ heads: 2, head_rows: 8, first_row: 0, rows: 8, head_cols: 8, x_width: 8 },
        ...{ value_quads: 2, window: 8, span_keys: 8, splits: 2, has_sinks: 0 },
      },
      buffers: { parts: new Float32Array(48), sinks: 16, y: 4 * 16 },
      weights: encodeMatrix(format, new Float32Array(128)).packed,
      parts: [...weightParts(format), headParts.rows, reduce],
      constants,
      control: { tokens: 1, fault: 1 },
    });

    expect(y.words).toEqual(y.before);
  });
});
