import fc from "fast-check";
import { describe, expect } from "vitest";
import { cacheFormats } from "../../../src/formats/cache/registry.ts";
import { weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { compressedAppend } from "../../../src/kernels/compressed_append.ts";
import { HEAD_OUTPUTS } from "../../../src/kernels/head_linear.ts";
import { latentAppend } from "../../../src/kernels/latent_append.ts";
import { matvec, NO_VECTOR } from "../../../src/kernels/matvec.ts";
import {
  amongStrangers,
  headParts,
  inputParts,
  MOST_SUMMING,
  matricesParts,
  rowDotsConstants,
  rowDotsParts,
} from "../../../src/kernels/parts.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { planKvCache } from "../../../src/ops/kv-layout.ts";
import { cacheNumbers, packCache } from "../../helpers/kv-cache.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { randomInput, randomMatrix, variantCases } from "./cases.ts";

const CONTEXT = 24;

const CASES = variantCases.flatMap(({ name, variant }) =>
  (["rows", "columns"] as const).map((by) => ({ name, variant, by })),
);

describe.for(CASES)("compressed_append, $name, $by", ({ variant, by }) => {
  const absorbing = by === "columns" ? amongStrangers(variant.matrix) : variant.matrix;
  const { LANES = 1 } = absorbing.constants as Record<string, number>;
  const constants = {
    ...absorbing.constants,
    ROWS: LANES === 1 ? 16 : MOST_SUMMING / LANES,
    OUTPUTS: HEAD_OUTPUTS[by],
  };

  kernelTest("gives the bits of a product and latent_append", async ({ run }) => {
    const drawing = fc.record({
      shape: fc.constantFrom(
        { heads: 1, rank: 32, ropeDims: 4, keyDim: 32 },
        { heads: 3, rank: 96, ropeDims: 12, keyDim: 32 },
        { heads: 2, rank: 256, ropeDims: 64, keyDim: 192 },
      ),
      queryFormat: fc.constantFrom(weightFormats.q8_0, weightFormats.f32),
      keyFormat: fc.constantFrom(weightFormats.q4_0, weightFormats.f32),
      cacheFormat: fc.constantFrom(...Object.values(cacheFormats)),
      queryRank: fc.constantFrom(32, 96),
      rowsBefore: fc.constantFrom(0, 3),
      tiles: fc.integer({ min: 1, max: 3 }),
      pairing: fc.constantFrom(0, 1),
      position: fc.integer({ min: 0, max: 11 }),
      fours: fc.constantFrom(1, 2),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(drawing, async (drawn) => {
        const { queryFormat, keyFormat, cacheFormat, queryRank: cols, rowsBefore } = drawn;
        const { heads, rank, ropeDims, keyDim } = drawn.shape;
        const queryWidth = keyDim + ropeDims;
        const width = rank + ropeDims;
        const random = createRandom(drawn.seed);
        const [rows, headCols] = by === "columns" ? [keyDim, rank] : [rank, keyDim];
        const headRows = rowsBefore + rows;
        const queries = randomMatrix(random, queryFormat, heads * queryWidth, cols);
        const keys = randomMatrix(random, keyFormat, heads * headRows, headCols);
        const x = randomInput(random, cols + width);
        const queryNorm = randomInput(random, cols);
        const norm = randomInput(random, rank);
        const table = Float32Array.from(
          Array.from({ length: (CONTEXT * ropeDims) / 2 }, () => random.normal()).flatMap(
            (angle) => [Math.cos(angle), Math.sin(angle)],
          ),
        );
        const spec = { layer: 0, heads, kvHeads: 1, headDim: width, valueDim: rank, scale: 1 };
        const layout = planKvCache({ ...spec, valuesInKeys: true }, cacheFormat, CONTEXT);
        const cache = packCache(cacheFormat, layout, randomInput(random, cacheNumbers(layout)));
        const latent = {
          ...{ heads, head_rows: headRows, first_row: rowsBefore, rows, head_cols: headCols },
          ...{ x_width: queryWidth, rank, rope_dims: ropeDims, cache_rows: CONTEXT },
          ...{ row_quads: layout.keyRowQuads, scales: layout.keyScales, pairing: drawn.pairing },
          epsilon: 1e-5,
        };
        const qBytes = 4 * heads * width;
        const control = { tokens: 1, position: drawn.position };
        const stores = [cacheFormat.read, cacheFormat.write];
        const absorb = [...weightParts(keyFormat), headParts[by], absorbing.reduce];

        const once = await run(compressedAppend, {
          params: { ...latent, cols, tiles: drawn.tiles, kv_first: cols },
          buffers: {
            x,
            vectors: Float32Array.of(...queryNorm, ...norm),
            table,
            q_out: qBytes,
            cache,
          },
          weights: [keys.packed, queries.packed],
          parts: [
            ...absorb,
            ...rowDotsParts(queryFormat, "queries", { binding: 1 }),
            inputParts.normed,
            ...stores,
          ],
          constants: { ...constants, FOURS: drawn.fours },
          control,
        });
        const expanded = await run(matvec, {
          params: {
            ...{ cols, rows_a: heads * queryWidth, rows_b: 0, rows_c: 0, bias_a: NO_VECTOR },
            ...{ bias_b: NO_VECTOR, bias_c: NO_VECTOR, first_row: 0, all_rows: heads * queryWidth },
            ...{ has_residual: 0, scale: 1, epsilon: 1e-5 },
          },
          buffers: {
            x: x.slice(0, cols),
            vectors: queryNorm,
            residual: 16,
            y: 4 * heads * queryWidth,
          },
          weights: queries.packed,
          parts: [
            ...rowDotsParts(queryFormat, "a"),
            ...[matricesParts[0], inputParts.normed, variant.matrix.reduce],
          ],
          constants: rowDotsConstants(variant.matrix),
          control,
        });
        const appended = await run(latentAppend, {
          params: { ...latent, kv_first: 0 },
          buffers: {
            ...{ x: expanded.y.floats.slice(), kv: x.slice(cols), norm, table },
            ...{ q_out: qBytes, cache },
          },
          weights: keys.packed,
          parts: [...absorb, ...stores],
          constants: { ...constants, TOKENS: 1 },
          control,
        });

        expect(once.cache.words).toEqual(appended.cache.words);
        expect(once.q_out.words).toEqual(appended.q_out.words);
      }),
      { numRuns: runs(4) },
    );
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const format = weightFormats.f32;
    const { packed } = randomMatrix(createRandom(1), format, 2 * 36, 32);
    const { q_out, cache } = await run(compressedAppend, {
      params: {
        ...{ heads: 2, head_rows: 32, first_row: 0, rows: 32, head_cols: 32, x_width: 36 },
        ...{ cols: 32, tiles: 1, kv_first: 32, rank: 32, rope_dims: 4, cache_rows: CONTEXT },
        ...{ row_quads: 16, scales: 0, pairing: 1, epsilon: 1 },
      },
      buffers: {
        ...{ x: new Float32Array(68), vectors: new Float32Array(64) },
        ...{ table: new Float32Array(4 * CONTEXT), q_out: 4 * 72, cache: 16 * 16 * CONTEXT },
      },
      weights: [packed, packed],
      parts: [
        ...[...weightParts(format), headParts[by], absorbing.reduce, inputParts.normed],
        ...rowDotsParts(format, "queries", { binding: 1 }),
        ...[cacheFormats.f32.read, cacheFormats.f32.write],
      ],
      constants: { ...constants, FOURS: 2 },
      control: { tokens: 1, fault: 1 },
    });

    expect(q_out.words).toEqual(q_out.before);
    expect(cache.words).toEqual(cache.before);
  });
});
