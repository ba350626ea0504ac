import fc from "fast-check";
import { describe, expect } from "vitest";
import { variants } from "../../../src/kernels/parts.ts";
import { rotateAppend } from "../../../src/kernels/rotate_append.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { type RotateRule, rotatedReference } from "../../reference/kernels/rotate_append.ts";
import { plants, randomInput } from "./cases.ts";

const NUM_RUNS = 16;
const CONTEXT = 12;
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

describe.for(Object.entries(variants))("rotate_append, %s", ([, { rotate: constants, reduce }]) => {
  kernelTest("agrees with f64 and changes no other row of the cache", async ({ run }) => {
    const shape = fc.record({
      shape: fc.constantFrom(
        { heads: 1, kvHeads: 1, headDim: 4, ropeDims: 4 },
        { heads: 3, kvHeads: 1, headDim: 6, ropeDims: 2 },
        { heads: 4, kvHeads: 2, headDim: 64, ropeDims: 64 },
        { heads: 4, kvHeads: 2, headDim: 80, ropeDims: 20 },
        { heads: 2, kvHeads: 1, headDim: 12, ropeDims: 4, ropeFirst: 8 },
        { heads: 2, kvHeads: 1, headDim: 80, ropeDims: 20, ropeFirst: 34 },
        { heads: 2, kvHeads: 2, headDim: 8, ropeDims: 0 },
      ),
      pairing: fc.constantFrom(...PAIRINGS),
      norm: fc.constantFrom(...NORMS),
      epsilon: fc.constantFrom(1e-6, 0.5),
      position: fc.integer({ min: 0, max: 7 }),
      tokens: fc.integer({ min: 1, max: 4 }),
      plant: fc.constantFrom(...plants),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async (drawn) => {
        const { pairing, norm, position, tokens, plant, seed } = drawn;
        const { heads, kvHeads, headDim, ropeDims, ropeFirst = 0 } = drawn.shape;
        const random = createRandom(seed);
        const [qWidth, kvWidth] = [heads * headDim, kvHeads * headDim];
        const q = randomInput(random, tokens * qWidth, plant);
        const k = randomInput(random, tokens * kvWidth, plant);
        const v = randomInput(random, tokens * kvWidth);
        const qNorm = randomInput(random, norm === "head" ? headDim : qWidth);
        const kNorm = randomInput(random, norm === "head" ? headDim : kvWidth);
        const table = angleTable(ropeDims);
        const cacheBefore = randomInput(random, 2 * CONTEXT * kvWidth);
        const rule: RotateRule = {
          headDim,
          ropeDims,
          ropeFirst,
          pairing,
          norm,
          epsilon: Math.fround(drawn.epsilon),
        };

        const { q_out, cache } = await run(rotateAppend, {
          params: {
            heads,
            kv_heads: kvHeads,
            head_dim: headDim,
            context: CONTEXT,
            rope_dims: ropeDims,
            rope_first: ropeFirst,
            pairing: PAIRINGS.indexOf(pairing),
            norm_mode: NORMS.indexOf(norm),
            epsilon: drawn.epsilon,
          },
          buffers: {
            q,
            k,
            v,
            norms: norm === "none" ? 16 : Float32Array.of(...qNorm, ...kNorm),
            table,
            q_out: 4 * qWidth * (tokens + 1),
            cache: cacheBefore,
          },
          parts: [reduce],
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

        const kFirst = position * kvWidth;
        const vFirst = (CONTEXT + position) * kvWidth;
        const length = tokens * kvWidth;
        expectWithin(
          cache.floats.subarray(kFirst, kFirst + length),
          rotatedReference(k, kvWidth, kNorm, angles, rule),
        );
        expect(cache.floats.slice(vFirst, vFirst + length)).toEqual(v);
        const others = cache.words.slice();
        for (const first of [kFirst, vFirst]) {
          others.set(cache.before.subarray(first, first + length), first);
        }
        expect(others).toEqual(cache.before);
      }),
      { numRuns: NUM_RUNS },
    );
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const { q_out, cache } = await run(rotateAppend, {
      params: {
        heads: 2,
        kv_heads: 1,
        head_dim: 4,
        context: CONTEXT,
        rope_dims: 4,
        rope_first: 0,
        pairing: 0,
        norm_mode: 0,
        epsilon: 1,
      },
      buffers: {
        q: new Float32Array(8),
        k: new Float32Array(4),
        v: new Float32Array(4),
        norms: 16,
        table: angleTable(4),
        q_out: 4 * 8,
        cache: 4 * 2 * CONTEXT * 4,
      },
      parts: [reduce],
      constants,
      control: { tokens: 1, fault: 1 },
    });

    expect(q_out.words).toEqual(q_out.before);
    expect(cache.words).toEqual(cache.before);
  });
});
