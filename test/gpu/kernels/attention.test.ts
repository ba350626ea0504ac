import fc from "fast-check";
import { describe, expect } from "vitest";
import { attention } from "../../../src/kernels/attention.ts";
import { variants } from "../../../src/kernels/parts.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { attentionReference } from "../../reference/kernels/attention.ts";
import { plants, randomInput } from "./cases.ts";

const NUM_RUNS = 12;
const CONTEXT = 160;

describe.for(Object.entries(variants))("attention, %s", ([, { attention: constants }]) => {
  const tile = constants.LANES;

  kernelTest("agrees with f64 and reads no key that a query must not see", async ({ run }) => {
    const shape = fc.record({
      shape: fc.constantFrom(
        { heads: 1, kvHeads: 1, headDim: 4 },
        { heads: 4, kvHeads: 2, headDim: 32 },
        { heads: 6, kvHeads: 2, headDim: 64 },
        { heads: 3, kvHeads: 1, headDim: 128 },
        { heads: 2, kvHeads: 2, headDim: 256 },
      ),
      position: fc.constantFrom(0, 1, 30, 31, 63, 64, 131),
      tokens: fc.integer({ min: 1, max: 4 }),
      window: fc.constantFrom(CONTEXT, CONTEXT, 1, 7, 33, 65),
      plant: fc.constantFrom(...plants),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async (drawn) => {
        const { position, tokens, window, plant, seed } = drawn;
        const { heads, kvHeads, headDim } = drawn.shape;
        const random = createRandom(seed);
        const width = heads * headDim;
        const stride = kvHeads * headDim;
        const scale = Math.fround(1 / Math.sqrt(headDim));
        const q = randomInput(random, tokens * width);
        const cache = randomInput(random, 2 * CONTEXT * stride, plant);
        for (const first of [0, CONTEXT * stride]) {
          cache.fill(Number.NaN, first + (position + tokens) * stride, first + CONTEXT * stride);
          const unseen = Math.max(0, position + 1 - window);
          cache.fill(Number.NaN, first, first + unseen * stride);
        }

        const { out } = await run(attention, {
          params: { heads, kv_heads: kvHeads, head_dim: headDim, context: CONTEXT, window, scale },
          buffers: { q, cache, out: 4 * width * (tokens + 1) },
          constants,
          control: { tokens, position },
          tokens: tokens + 1,
        });

        const written = tokens * width;
        const dims = { heads, kvHeads, headDim, context: CONTEXT, window, scale, tile };
        expectWithin(
          out.floats.subarray(0, written),
          attentionReference({ ...dims, position, q, cache }),
        );
        expect(out.words.subarray(written)).toEqual(out.before.subarray(written));
      }),
      { numRuns: NUM_RUNS },
    );
  });

  kernelTest.for([
    { name: "all 80", score: () => 80 },
    { name: "all -80", score: () => -80 },
    { name: "80 and -80 in turn", score: (key: number) => (key % 2 === 0 ? 80 : -80) },
    { name: "rising from -80 to 80", score: (key: number) => -80 + (160 * key) / 130 },
    { name: "falling from 80 to -80", score: (key: number) => 80 - (160 * key) / 130 },
    { name: "-1e6 but for the first", score: (key: number) => (key === 0 ? 80 : -1e6) },
    { name: "-1e6 but for the last", score: (key: number) => (key === 130 ? 80 : -1e6) },
  ])("agrees with f64 where scores are $name", async ({ score }, { run }) => {
    const position = 130;
    const [heads, kvHeads, headDim] = [1, 1, 4];
    const q = Float32Array.of(1, 0, 0, 0);
    const cache = randomInput(createRandom(1), 2 * CONTEXT * headDim);
    for (let key = 0; key <= position; key++) cache[key * headDim] = score(key);
    const dims = { heads, kvHeads, headDim, context: CONTEXT, window: CONTEXT, scale: 1 };

    const { out } = await run(attention, {
      params: { ...dims, kv_heads: kvHeads, head_dim: headDim },
      buffers: { q, cache, out: 4 * headDim },
      constants,
      control: { tokens: 1, position },
    });

    expectWithin(out.floats, attentionReference({ ...dims, position, q, cache, tile }));
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const { out } = await run(attention, {
      params: { heads: 1, kv_heads: 1, head_dim: 4, context: CONTEXT, window: CONTEXT, scale: 1 },
      buffers: { q: new Float32Array(4), cache: new Float32Array(8 * CONTEXT), out: 16 },
      constants,
      control: { tokens: 1, fault: 1 },
    });

    expect(out.words).toEqual(out.before);
  });
});
