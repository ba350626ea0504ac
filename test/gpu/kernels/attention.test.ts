import fc from "fast-check";
import { describe, expect } from "vitest";
import { type CacheFormat, planCache } from "../../../src/formats/cache/format.ts";
import { cacheFormats } from "../../../src/formats/cache/registry.ts";
import { attention } from "../../../src/kernels/attention.ts";
import { variants } from "../../../src/kernels/parts.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { type KvLayout, planKvCache } from "../../../src/ops/kv-layout.ts";
import { kernelTest, type RunKernel } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { type AttentionInput, attentionReference } from "../../reference/kernels/attention.ts";
import { plants, randomInput } from "./cases.ts";

const CONTEXT = 160;

/** Both variants with f32, and each packed format with one of them. */
const CASES = [
  { variant: "serial", format: cacheFormats.f32, numRuns: 12 },
  { variant: "workgroup", format: cacheFormats.f32, numRuns: 12 },
  { variant: "serial", format: cacheFormats.f16, numRuns: 6 },
  { variant: "workgroup", format: cacheFormats.q8_0, numRuns: 6 },
] as const;

/** A cache's numbers as `format` keeps them, and its bytes. */
function packed(format: CacheFormat, numbers: Float32Array) {
  const words = format.encode(numbers);
  const { scalesFirst } = planCache(format, numbers.length);
  return {
    format,
    scalesFirst,
    numbers: format.decode(words),
    bytes: new Uint8Array(words.buffer),
  };
}

/** Runs the kernel for as many tokens as `q` has, and one more that the pass has not. */
async function attend(
  run: RunKernel,
  input: Omit<AttentionInput, "cache" | "tile">,
  cache: ReturnType<typeof packed>,
  constants: { readonly LANES: number },
) {
  const { heads, keyDim, valueDim, sinks, position, q } = input;
  const tokens = q.length / (heads * keyDim);
  const width = heads * valueDim;
  const { out } = await run(attention, {
    params: {
      heads,
      kv_heads: input.kvHeads,
      key_dim: keyDim,
      value_dim: valueDim,
      value_step: input.valueStep,
      key_stride: input.keyStride,
      value_stride: input.valueStride,
      values_first: input.valuesFirst,
      scales_first: cache.scalesFirst,
      rows: input.rows,
      window: input.window,
      has_sinks: sinks ? 1 : 0,
      scale: input.scale,
      softcap: input.softcap,
    },
    buffers: {
      q: Float32Array.from(q),
      sinks: sinks ? Float32Array.from(sinks) : 16,
      out: 4 * width * (tokens + 1),
    },
    weights: cache.bytes,
    parts: [cache.format.read],
    constants,
    control: { tokens, position },
    tokens: tokens + 1,
  });
  expect(out.words.subarray(tokens * width)).toEqual(out.before.subarray(tokens * width));
  return out.floats.subarray(0, tokens * width);
}

/** Puts NaN into the rows that hold no position from `first` to `end`. */
function spoilUnseen(
  numbers: Float32Array,
  { rows, keyStride, valueStride, valuesFirst }: KvLayout,
  { first, end }: { readonly first: number; readonly end: number },
): void {
  const seen = new Set<number>();
  for (let position = Math.max(0, first); position < end; position++) seen.add(position % rows);
  for (let row = 0; row < rows; row++) {
    if (seen.has(row)) continue;
    numbers.fill(Number.NaN, row * keyStride, (row + 1) * keyStride);
    const value = valuesFirst + row * valueStride;
    if (valueStride > 0) numbers.fill(Number.NaN, value, value + valueStride);
  }
}

const shapes = fc.constantFrom(
  { heads: 1, kvHeads: 1, headDim: 4 },
  { heads: 4, kvHeads: 2, headDim: 32 },
  { heads: 6, kvHeads: 2, headDim: 64 },
  { heads: 3, kvHeads: 1, headDim: 128 },
  { heads: 2, kvHeads: 2, headDim: 256 },
  { heads: 4, kvHeads: 2, headDim: 24, valueDim: 16 },
  { heads: 2, kvHeads: 1, headDim: 16, valueDim: 40 },
  // As MLA's is: wide keys with the values in them.
  { heads: 2, kvHeads: 1, headDim: 576, valueDim: 512, valuesInKeys: true },
  { heads: 4, kvHeads: 2, headDim: 20, valueDim: 12, valuesInKeys: true },
);

describe.for(CASES)("attention, $variant, $format.name", ({ variant, format, numRuns }) => {
  kernelTest("agrees with f64 and reads no key that a query must not see", async ({ run }) => {
    const drawn = fc.record({
      shape: shapes,
      position: fc.constantFrom(0, 1, 30, 31, 63, 64, 131),
      tokens: fc.integer({ min: 1, max: 4 }),
      window: fc.constantFrom(CONTEXT, CONTEXT, 1, 7, 33, 65),
      ring: fc.boolean(),
      softcap: fc.constantFrom(0, 0, 3, 30),
      hasSinks: fc.boolean(),
      plant: fc.constantFrom(...plants),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(drawn, async (choice) => {
        const { position, tokens, window, softcap, seed } = choice;
        const { heads, kvHeads, headDim } = choice.shape;
        const random = createRandom(seed);
        const scale = Math.fround(1 / Math.sqrt(headDim));
        const spec = { ...choice.shape, layer: 0, scale };
        const rows = choice.ring ? Math.min(CONTEXT, window + tokens - 1) : CONTEXT;
        const layout = planKvCache(spec, format, rows);
        const valueDim = choice.shape.valueDim ?? headDim;
        const count = rows * (layout.keyStride + layout.valueStride);
        const drawnNumbers = randomInput(random, count, choice.plant);
        spoilUnseen(drawnNumbers, layout, { first: position - window + 1, end: position + tokens });
        const cache = packed(format, drawnNumbers);
        const own = variants[variant].attention.constants.LANES;
        const lanes = valueDim > 8 * own ? 64 : own;
        const input = {
          heads,
          kvHeads,
          keyDim: headDim,
          valueDim,
          valueStep: spec.valuesInKeys ? headDim : valueDim,
          keyStride: layout.keyStride,
          valueStride: spec.valuesInKeys ? layout.keyStride : layout.valueStride,
          valuesFirst: layout.valuesFirst,
          rows,
          window,
          scale,
          softcap,
          sinks: choice.hasSinks ? randomInput(random, heads) : undefined,
          position,
          q: randomInput(random, tokens * heads * headDim),
        };

        const out = await attend(run, input, cache, { LANES: lanes });

        expectWithin(out, attentionReference({ ...input, cache: cache.numbers, tile: lanes }));
      }),
      { numRuns },
    );
  });

  const single = {
    ...{ heads: 1, kvHeads: 1, keyDim: 4, valueDim: 4, valueStep: 4 },
    ...{ rows: CONTEXT, window: CONTEXT, scale: 1, softcap: 0 },
  };

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
    const stride = planKvCache({ ...single, layer: 0, headDim: 4 }, format, CONTEXT).keyStride;
    const drawn = randomInput(createRandom(1), 2 * CONTEXT * stride);
    for (let key = 0; key <= position; key++) drawn[key * stride] = score(key);
    const cache = packed(format, drawn);
    const places = { keyStride: stride, valueStride: stride, valuesFirst: CONTEXT * stride };
    const input = { ...single, ...places, position, q: Float32Array.of(1, 0, 0, 0) };

    const out = await attend(run, input, cache, variants[variant].attention.constants);

    const tile = variants[variant].attention.constants.LANES;
    expectWithin(out, attentionReference({ ...input, cache: cache.numbers, tile }));
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const { out } = await run(attention, {
      params: {
        ...{ heads: 1, kv_heads: 1, key_dim: 4, value_dim: 4, value_step: 4 },
        ...{ key_stride: 64, value_stride: 64, values_first: 64, scales_first: 32 },
        ...{ rows: 1, window: 1, has_sinks: 0, scale: 1, softcap: 0 },
      },
      buffers: { q: new Float32Array(4), sinks: 16, out: 16 },
      weights: new Uint8Array(512),
      parts: [format.read],
      constants: variants[variant].attention.constants,
      control: { tokens: 1, fault: 1 },
    });

    expect(out.words).toEqual(out.before);
  });
});
