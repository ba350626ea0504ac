import fc from "fast-check";
import { describe, expect } from "vitest";
import { cacheFormats } from "../../../src/formats/cache/registry.ts";
import { weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { HEAD_OUTPUTS } from "../../../src/kernels/head_linear.ts";
import { latentAppend } from "../../../src/kernels/latent_append.ts";
import { amongStrangers, headParts } from "../../../src/kernels/parts.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { planKvCache } from "../../../src/ops/kv-layout.ts";
import { cacheNumbers, packCache, packedHead, unpackCache } from "../../helpers/kv-cache.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import {
  headLinearReference,
  headLinearTransposedReference,
} from "../../reference/kernels/head_linear.ts";
import { latentQueries, latentRows } from "../../reference/kernels/latent_append.ts";
import { encodeMatrix, padded, plants, randomInput, randomMatrix, variantCases } from "./cases.ts";

const NUM_RUNS = runs(12);
const CONTEXT = 24;
const PAIRINGS = ["half-split", "interleaved"] as const;

/** How queries are absorbed: by the rows of a head's matrix or by its columns. */
const PRODUCTS = {
  rows: headLinearReference,
  columns: headLinearTransposedReference,
} as const;
const weightFormat = weightFormats.q8_0;

/** Every variant with every format of the cache; products by rows and by columns in turn. */
const CASES = variantCases
  .flatMap(({ name, variant }) =>
    Object.values(cacheFormats).map((format) => ({ name, variant, format })),
  )
  .map((each, index) => {
    const by = index % 2 === 0 ? "rows" : "columns";
    return { ...each, by, title: `${each.name}, ${each.format.name}, ${by}` } as const;
  });

describe.for(CASES)("latent_append, $title", ({ variant, format, by }) => {
  const isByColumns = by === "columns";
  const { constants, reduce } = isByColumns ? amongStrangers(variant.matrix) : variant.matrix;
  const parts = [...weightParts(weightFormat), headParts[by], reduce, format.read, format.write];

  kernelTest("agrees with f64 and changes no other row of the cache", async ({ run }) => {
    const drawing = fc.record({
      shape: fc.constantFrom(
        { heads: 1, rank: 32, ropeDims: 4, keyDim: 32 },
        { heads: 3, rank: 96, ropeDims: 12, keyDim: 32 },
        { heads: 2, rank: 576, ropeDims: 80, keyDim: 64 },
      ),
      rowsBefore: fc.constantFrom(0, 3),
      many: fc.boolean(),
      pairing: fc.constantFrom(...PAIRINGS),
      epsilon: fc.constantFrom(1e-6, 0.5),
      position: fc.integer({ min: 0, max: 11 }),
      /** A ring that some of the drawn positions are beyond, or room for all of them. */
      rows: fc.constantFrom(8, CONTEXT),
      tokens: fc.integer({ min: 1, max: 6 }),
      plant: fc.constantFrom(...plants),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(
        drawing,
        async ({ shape, pairing, position, tokens, plant, rows, ...drawn }) => {
          const { heads, rank, ropeDims, keyDim } = shape;
          const qWidth = keyDim + ropeDims;
          const atOnce = drawn.many ? 4 : 1;
          const room = Math.ceil(tokens / atOnce) * atOnce;
          const width = rank + ropeDims;
          const spec = { layer: 0, heads, kvHeads: 1, headDim: width, valueDim: rank, scale: 1 };
          const layout = planKvCache({ ...spec, valuesInKeys: true }, format, rows);
          const random = createRandom(drawn.seed);
          const kvFirst = 4 * random.integer(2);
          const q = randomInput(random, tokens * heads * qWidth, plant);
          const [headRows, cols] = isByColumns ? [keyDim, rank] : [rank, keyDim];
          const heading = {
            heads,
            headRows: drawn.rowsBefore + headRows,
            firstRow: drawn.rowsBefore,
            rows: headRows,
            cols,
            xWidth: qWidth,
          };
          const matrix = randomMatrix(random, weightFormat, heads * heading.headRows, cols);
          const kv = randomInput(random, tokens * width, plant);
          const norm = randomInput(random, rank);
          const turns = Array.from({ length: (CONTEXT * ropeDims) / 2 }, () => random.normal());
          const table = Float32Array.from(
            turns.flatMap((turn) => [Math.cos(turn), Math.sin(turn)]),
          );
          const rule = { heads, rank, ropeDims, pairing, epsilon: Math.fround(drawn.epsilon) };

          const before = packCache(format, layout, randomInput(random, cacheNumbers(layout)));

          const { q_out, cache } = await run(latentAppend, {
            params: {
              heads,
              head_rows: heading.headRows,
              first_row: heading.firstRow,
              rows: headRows,
              head_cols: cols,
              x_width: qWidth,
              kv_first: kvFirst,
              rank,
              rope_dims: ropeDims,
              cache_rows: rows,
              row_quads: layout.keyRowQuads,
              scales: layout.keyScales,
              pairing: PAIRINGS.indexOf(pairing),
              epsilon: drawn.epsilon,
            },
            buffers: {
              x: padded(q, room * heads * qWidth),
              kv: new Float32Array([...new Float32Array(kvFirst).fill(Number.NaN), ...kv]),
              norm,
              table,
              q_out: 4 * heads * width * (tokens + 1),
              cache: before,
            },
            weights: matrix.packed,
            parts,
            constants: { ...constants, TOKENS: atOnce, OUTPUTS: HEAD_OUTPUTS[by] },
            control: { tokens, position },
            tokens: tokens + 1,
          });

          const angles = table.subarray(position * ropeDims, (position + tokens) * ropeDims);
          const written = tokens * heads * width;
          const absorbed = PRODUCTS[by](matrix.weights, q, heading);
          expectWithin(q_out.floats.subarray(0, written), latentQueries(q, absorbed, angles, rule));
          expect(q_out.words.subarray(written)).toEqual(q_out.before.subarray(written));
          const expected = latentRows(kv, norm, angles, rule);
          const wanted = [...unpackCache(format, layout, before)];
          const bounds = new Array<number>(wanted.length).fill(0);
          for (let token = 0; token < tokens; token++) {
            const part = (of: ArrayLike<number>) =>
              Array.from(of).slice(token * width, (token + 1) * width);
            const { values, bounds: own } = packedHead(format, {
              values: part(expected.values),
              bounds: part(expected.bounds),
            });
            const first = 4 * ((position + token) % rows) * layout.keyRowQuads;
            // What pads a block is packed as it was: its scale is another one.
            if (format.scaled) bounds.fill(Infinity, first, first + 4 * layout.keyRowQuads);
            for (let i = 0; i < width; i++) {
              wanted[first + i] = values[i]!;
              bounds[first + i] = own[i]!;
            }
          }
          expectWithin(unpackCache(format, layout, cache.words), { values: wanted, bounds });
        },
      ),
      { numRuns: NUM_RUNS },
    );
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const { q_out, cache } = await run(latentAppend, {
      params: {
        heads: 2,
        head_rows: 32,
        first_row: 0,
        rows: 32,
        head_cols: 32,
        x_width: 36,
        kv_first: 0,
        rank: 32,
        rope_dims: 2,
        cache_rows: CONTEXT,
        row_quads: 16,
        scales: 0,
        pairing: 1,
        epsilon: 1,
      },
      buffers: {
        x: new Float32Array(72),
        kv: new Float32Array(34),
        norm: new Float32Array(32),
        table: new Float32Array(2 * CONTEXT),
        q_out: 4 * 68,
        cache: 16 * 16 * CONTEXT,
      },
      weights: encodeMatrix(weightFormat, new Float32Array(64 * 32)).packed,
      parts,
      constants: { ...constants, OUTPUTS: HEAD_OUTPUTS[by] },
      control: { tokens: 1, fault: 1 },
    });

    expect(q_out.words).toEqual(q_out.before);
    expect(cache.words).toEqual(cache.before);
  });
});
