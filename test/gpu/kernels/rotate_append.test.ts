import fc from "fast-check";
import { describe, expect } from "vitest";
import { cacheFormats } from "../../../src/formats/cache/registry.ts";
import { headNormParts, rotatedParts } from "../../../src/kernels/parts.ts";
import { rotateAppend } from "../../../src/kernels/rotate_append.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { planKvCache } from "../../../src/ops/kv-layout.ts";
import { cacheNumbers, packCache, packedHead, unpackCache } from "../../helpers/kv-cache.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { rmsNormReference } from "../../reference/kernels/rms_norm.ts";
import { type RotateRule, rotatedReference } from "../../reference/kernels/rotate_append.ts";
import { plants, randomInput, variantCases } from "./cases.ts";

const NUM_RUNS = runs(16);
/** Positions of the table, and rows of the cache: fewer, so that it goes round. */
const CONTEXT = 16;
const ROWS = 8;
const PAIRINGS = ["half-split", "interleaved"] as const;
const NORMS = ["none", "head", "all heads"] as const;

/** Cosine and sine for each position and pair: [CONTEXT, ropeDims / 2, 2]. */
function angleTable(ropeDims: number): Float32Array<ArrayBuffer> {
  const half = ropeDims / 2;
  const angles = Array.from({ length: CONTEXT * half }, (_, index) => {
    const angle = Math.floor(index / half) * 10_000 ** (-(index % half) / half);
    return [Math.cos(angle), Math.sin(angle)];
  });
  // A kernel without rotation has a table too, of one pair that it must not read.
  return ropeDims === 0 ? new Float32Array(2).fill(Number.NaN) : Float32Array.from(angles.flat());
}

/** Widths of q, k and v. */
type Widths = readonly [q: number, k: number, v: number];

/** Where a token's q, k and v stand. */
function rowsOf([q, k, v]: Widths, fused: boolean) {
  const row = q + k + v;
  return fused
    ? { q_row: row, k_row: row, v_row: row, k_first: q, v_first: q + k }
    : { q_row: q, k_row: k, v_row: v, k_first: 0, v_first: 0 };
}

/** Rows of `parts`, one beside the other. */
function sideBySide(parts: readonly Float32Array[], widths: Widths, tokens: number): Float32Array {
  return Float32Array.from(
    Array.from({ length: tokens }, (_, token) =>
      parts.flatMap((part, i) => [...part.subarray(token * widths[i]!, (token + 1) * widths[i]!)]),
    ).flat(),
  );
}

function sameThrice(x: Float32Array) {
  return { q: x, k: x, v: x };
}

/** Every variant with every format of the cache. */
const CASES = variantCases.flatMap(({ name, variant }) =>
  Object.values(cacheFormats).map((format) => ({ name, variant, format })),
);

describe.for(CASES)("rotate_append, $name, $format.name", ({ variant, format }) => {
  const { constants, norms } = variant.rotate;
  const stores = [format.read, format.write];

  kernelTest("agrees with f64 and changes no other row of the cache", async ({ run }) => {
    const shape = fc.record({
      shape: fc.constantFrom(
        { heads: 1, kvHeads: 1, headDim: 4, ropeDims: 4 },
        { heads: 3, kvHeads: 1, headDim: 12, ropeDims: 2 },
        { heads: 4, kvHeads: 2, headDim: 64, ropeDims: 64 },
        { heads: 4, kvHeads: 2, headDim: 80, ropeDims: 20 },
        { heads: 2, kvHeads: 1, headDim: 12, ropeDims: 4, ropeFirst: 8 },
        { heads: 2, kvHeads: 1, headDim: 80, ropeDims: 20, ropeFirst: 34 },
        { heads: 2, kvHeads: 2, headDim: 8, ropeDims: 0 },
        { heads: 2, kvHeads: 2, headDim: 8, ropeDims: 8, valueDim: 12 },
      ),
      fused: fc.boolean(),
      pairing: fc.constantFrom(...PAIRINGS),
      norm: fc.constantFrom(...NORMS),
      normValues: fc.boolean(),
      epsilon: fc.constantFrom(1e-6, 0.5),
      position: fc.integer({ min: 0, max: 11 }),
      tokens: fc.integer({ min: 1, max: 4 }),
      plant: fc.constantFrom(...plants),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async (drawn) => {
        const { pairing, norm, position, tokens, plant, seed, fused } = drawn;
        const { heads, kvHeads, headDim, ropeDims, ropeFirst = 0 } = drawn.shape;
        const valueDim = drawn.shape.valueDim ?? headDim;
        const random = createRandom(seed);
        const widths = [heads * headDim, kvHeads * headDim, kvHeads * valueDim] as const;
        const [qWidth, kWidth, vWidth] = widths;
        const q = randomInput(random, tokens * qWidth, plant);
        const k = randomInput(random, tokens * kWidth, plant);
        const v = randomInput(random, tokens * vWidth);
        const qNorm = randomInput(random, norm === "head" ? headDim : qWidth);
        const kNorm = randomInput(random, norm === "head" ? headDim : kWidth);
        const table = angleTable(ropeDims);
        const spec = { layer: 0, heads, kvHeads, headDim, valueDim, scale: 1 };
        const layout = planKvCache(spec, format, ROWS);
        const before = packCache(format, layout, randomInput(random, cacheNumbers(layout)));
        const rule: RotateRule = {
          headDim,
          ropeDims,
          ropeFirst,
          pairing,
          norm,
          epsilon: Math.fround(drawn.epsilon),
        };

        const by = ropeFirst % 4 === 0 && ropeDims % 8 === 0 ? "quads" : "numbers";
        const hasNorms = norm !== "none" || drawn.normValues;

        const { q_out, cache } = await run(rotateAppend, {
          params: {
            heads,
            kv_heads: kvHeads,
            value_heads: kvHeads,
            head_dim: headDim,
            value_dim: valueDim,
            ...rowsOf(widths, fused),
            rows: ROWS,
            key_head_quads: layout.keyHeadQuads,
            key_row_quads: layout.keyRowQuads,
            value_head_quads: layout.valueHeadQuads,
            value_row_quads: layout.valueRowQuads,
            values_first: layout.valuesFirst,
            key_scales: layout.keyScales,
            value_scales: layout.valueScales,
            rope_dims: ropeDims,
            rope_first: ropeFirst,
            pairing: PAIRINGS.indexOf(pairing),
            norm_mode: NORMS.indexOf(norm),
            norm_values: drawn.normValues ? 1 : 0,
            epsilon: drawn.epsilon,
          },
          buffers: {
            ...(fused ? sameThrice(sideBySide([q, k, v], widths, tokens)) : { q, k, v }),
            norms: norm === "none" ? 16 : Float32Array.of(...qNorm, ...kNorm),
            table,
            q_out: 4 * qWidth * (tokens + 1),
            cache: before,
          },
          parts: [...stores, headNormParts[hasNorms ? norms : "none"], rotatedParts[by]],
          constants,
          control: { tokens, position },
          tokens: tokens + 1,
        });

        const angles = table.subarray(position * ropeDims, (position + tokens) * ropeDims);
        const written = tokens * qWidth;
        expectWithin(
          q_out.floats.subarray(0, written),
          rotatedReference(q, qWidth, qNorm, angles, rule),
        );
        expect(q_out.words.subarray(written)).toEqual(q_out.before.subarray(written));

        const keys = rotatedReference(k, kWidth, kNorm, angles, rule);
        const values = drawn.normValues
          ? rmsNormReference(v, new Float32Array(valueDim).fill(1), rule.epsilon)
          : { values: v, bounds: new Float32Array(v.length) };
        const wanted = [...unpackCache(format, layout, before)];
        const bounds = new Array<number>(wanted.length).fill(0);
        const heads_ = [
          { all: keys, dim: headDim, first: 0, rowQuads: layout.keyRowQuads },
          { all: values, dim: valueDim, first: layout.valuesFirst, rowQuads: layout.valueRowQuads },
        ];
        for (const { all, dim, first, rowQuads } of heads_) {
          for (let head = 0; head < tokens * kvHeads; head++) {
            const part = (of: ArrayLike<number>) =>
              Array.from(of).slice(head * dim, (head + 1) * dim);
            const stored = packedHead(format, {
              values: part(all.values),
              bounds: part(all.bounds),
            });
            const row = (position + Math.floor(head / kvHeads)) % ROWS;
            const quad = first + row * rowQuads + ((head % kvHeads) * rowQuads) / kvHeads;
            for (let i = 0; i < dim; i++) {
              wanted[4 * quad + i] = stored.values[i]!;
              bounds[4 * quad + i] = stored.bounds[i]!;
            }
            // What pads a block is packed as it was: its scale is another one.
            if (format.scaled)
              bounds.fill(Infinity, 4 * quad + dim, 4 * (quad + rowQuads / kvHeads));
          }
        }
        expectWithin(unpackCache(format, layout, cache.words), { values: wanted, bounds });
      }),
      { numRuns: NUM_RUNS },
    );
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const { q_out, cache } = await run(rotateAppend, {
      params: {
        ...{ heads: 2, kv_heads: 1, value_heads: 1, head_dim: 4, value_dim: 4 },
        ...rowsOf([8, 4, 4], false),
        ...{ rows: CONTEXT, key_head_quads: 8, key_row_quads: 8, value_head_quads: 8 },
        ...{ value_row_quads: 8, values_first: 8 * CONTEXT, key_scales: 0, value_scales: 0 },
        rope_dims: 4,
        rope_first: 0,
        pairing: 0,
        norm_mode: 0,
        norm_values: 0,
        epsilon: 1,
      },
      buffers: {
        q: new Float32Array(8),
        k: new Float32Array(4),
        v: new Float32Array(4),
        norms: 16,
        table: angleTable(4),
        q_out: 4 * 8,
        cache: 16 * 16 * CONTEXT,
      },
      parts: [...stores, headNormParts[norms], rotatedParts.quads],
      constants,
      control: { tokens: 1, fault: 1 },
    });

    expect(q_out.words).toEqual(q_out.before);
    expect(cache.words).toEqual(cache.before);
  });
});
