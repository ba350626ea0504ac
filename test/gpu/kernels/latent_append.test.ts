import fc from "fast-check";
import { describe, expect } from "vitest";
import { cacheFormats } from "../../../src/formats/cache/registry.ts";
import { latentAppend } from "../../../src/kernels/latent_append.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { planKvCache } from "../../../src/ops/kv-layout.ts";
import { cacheNumbers, packCache, packedHead, unpackCache } from "../../helpers/kv-cache.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { latentQueries, latentRows } from "../../reference/kernels/latent_append.ts";
import { plants, randomInput, variantCases } from "./cases.ts";

const NUM_RUNS = runs(12);
const CONTEXT = 16;
const PAIRINGS = ["half-split", "interleaved"] as const;

/** Every variant with every format of the cache. */
const CASES = variantCases.flatMap(({ name, variant }) =>
  Object.values(cacheFormats).map((format) => ({ name, variant, format })),
);

describe.for(CASES)("latent_append, $name, $format.name", ({ variant, format }) => {
  const { constants, reduce } = variant.rotate;

  kernelTest("agrees with f64 and changes no other row of the cache", async ({ run }) => {
    const drawing = fc.record({
      shape: fc.constantFrom(
        { heads: 1, rank: 4, ropeDims: 4, qWidth: 4 },
        { heads: 3, rank: 40, ropeDims: 12, qWidth: 20 },
        { heads: 2, rank: 96, ropeDims: 80, qWidth: 130 },
      ),
      pairing: fc.constantFrom(...PAIRINGS),
      epsilon: fc.constantFrom(1e-6, 0.5),
      position: fc.integer({ min: 0, max: 11 }),
      /** A ring that some of the drawn positions are beyond, or room for all of them. */
      rows: fc.constantFrom(8, CONTEXT),
      tokens: fc.integer({ min: 1, max: 4 }),
      plant: fc.constantFrom(...plants),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(
        drawing,
        async ({ shape, pairing, position, tokens, plant, rows, ...drawn }) => {
          const { heads, rank, ropeDims, qWidth } = shape;
          const width = rank + ropeDims;
          const spec = { layer: 0, heads, kvHeads: 1, headDim: width, valueDim: rank, scale: 1 };
          const layout = planKvCache({ ...spec, valuesInKeys: true }, format, rows);
          const random = createRandom(drawn.seed);
          const kvFirst = 4 * random.integer(2);
          const q = randomInput(random, tokens * heads * qWidth, plant);
          const absorbed = randomInput(random, tokens * heads * rank);
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
              q_width: qWidth,
              kv_first: kvFirst,
              rank,
              rope_dims: ropeDims,
              rows,
              row_quads: layout.keyRowQuads,
              scales: layout.keyScales,
              pairing: PAIRINGS.indexOf(pairing),
              epsilon: drawn.epsilon,
            },
            buffers: {
              q,
              absorbed,
              kv: new Float32Array([...new Float32Array(kvFirst).fill(Number.NaN), ...kv]),
              norm,
              table,
              q_out: 4 * heads * width * (tokens + 1),
              cache: before,
            },
            parts: [reduce, format.write],
            constants,
            control: { tokens, position },
            tokens: tokens + 1,
          });

          const angles = table.subarray(position * ropeDims, (position + tokens) * ropeDims);
          const written = tokens * heads * width;
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
        q_width: 4,
        kv_first: 0,
        rank: 4,
        rope_dims: 2,
        rows: CONTEXT,
        row_quads: 8,
        scales: 0,
        pairing: 1,
        epsilon: 1,
      },
      buffers: {
        q: new Float32Array(8),
        absorbed: new Float32Array(8),
        kv: new Float32Array(6),
        norm: new Float32Array(4),
        table: new Float32Array(2 * CONTEXT),
        q_out: 4 * 12,
        cache: 16 * 8 * CONTEXT,
      },
      parts: [reduce, format.write],
      constants,
      control: { tokens: 1, fault: 1 },
    });

    expect(q_out.words).toEqual(q_out.before);
    expect(cache.words).toEqual(cache.before);
  });
});
