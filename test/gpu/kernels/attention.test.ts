import fc from "fast-check";
import { describe, expect } from "vitest";
import type { CacheFormat } from "../../../src/formats/cache/format.ts";
import { cacheFormats } from "../../../src/formats/cache/registry.ts";
import { attention, attentionKeys, attentionRows } from "../../../src/kernels/attention.ts";
import { attentionMerge } from "../../../src/kernels/attention_merge.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { type KvLayout, planKvCache } from "../../../src/ops/kv-layout.ts";
import { cacheNumbers, packCache, unpackCache } from "../../helpers/kv-cache.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest, type RunKernel } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { type AttentionInput, attentionReference } from "../../reference/kernels/attention.ts";
import { plants, randomInput } from "./cases.ts";

const CONTEXT = 160;

/** How the kernel shares the work. */
interface Sharing {
  readonly rows: keyof typeof attentionRows;
  readonly keys: keyof typeof attentionKeys;
  readonly lanes: number;
  readonly groups: number;
  /** In tiles. */
  readonly span: number;
  /** Spans are workgroups of their own, and merged. */
  readonly split: boolean;
}

/** As variants have it for passes of one token and of many; lanes are fewer, so that tiles are many. */
const SHARINGS = {
  "one query a workgroup": {
    rows: "one",
    keys: "four",
    lanes: 8,
    groups: 1,
    span: 64,
    split: false,
  },
  "four queries a workgroup": {
    rows: "four",
    keys: "four",
    lanes: 8,
    groups: 1,
    span: 64,
    split: false,
  },
  "more queries, in spans": {
    rows: "four",
    keys: "four",
    lanes: 8,
    groups: 3,
    span: 2,
    split: false,
  },
  "split over workgroups": {
    rows: "four",
    keys: "four",
    lanes: 8,
    groups: 1,
    span: 1,
    split: true,
  },
  "one query, split": { rows: "one", keys: "four", lanes: 8, groups: 2, span: 2, split: true },
  "a key a lane": { rows: "four", keys: "one", lanes: 32, groups: 2, span: 2, split: false },
  "a key a lane, split": { rows: "one", keys: "one", lanes: 32, groups: 1, span: 1, split: true },
} as const satisfies Record<string, Sharing>;

const CASES = [
  { name: "one query a workgroup", format: cacheFormats.f32 },
  { name: "four queries a workgroup", format: cacheFormats.f32 },
  { name: "more queries, in spans", format: cacheFormats.q8_0 },
  { name: "split over workgroups", format: cacheFormats.f16 },
  { name: "one query, split", format: cacheFormats.q8_0 },
  { name: "a key a lane", format: cacheFormats.f32 },
  { name: "a key a lane, split", format: cacheFormats.q8_0 },
] as const;

/** A layer whose queries attend, and what is cached of it. */
interface Layer {
  readonly input: Omit<AttentionInput, "cache" | "tile" | "span">;
  readonly layout: KvLayout;
  readonly format: CacheFormat;
  /** Words of the cache. */
  readonly cache: Uint32Array<ArrayBuffer>;
  readonly valuesInKeys: boolean;
}

/** Lanes for the size of a head's values: each has eight dimensions at most. */
function lanesFor({ valueDim }: AttentionInput | Layer["input"], { lanes }: Sharing): number {
  return Math.max(lanes, 2 ** Math.ceil(Math.log2(valueDim / 8)));
}

/** Runs the kernel for as many tokens as `q` has, and one more that the pass has not. */
async function attend(run: RunKernel, layer: Layer, sharing: Sharing): Promise<Float32Array> {
  const { input, layout, valuesInKeys } = layer;
  const { heads, keyDim, valueDim, sinks, position, window, q } = input;
  const tokens = q.length / (heads * keyDim);
  const width = heads * valueDim;
  const lanes = lanesFor(input, sharing);
  const spanKeys = sharing.span * attentionKeys[sharing.keys].keys * lanes;
  const splits = sharing.split ? Math.ceil(CONTEXT / spanKeys) + 1 : 0;
  const shared = { heads, value_quads: valueDim / 4, window, span_keys: spanKeys, splits };
  const sinkBuffer = sinks ? Float32Array.from(sinks) : 16;
  const rows = attentionRows[sharing.rows];
  const bytes = sharing.split ? 4 * heads * splits * (valueDim + 4) : 4 * width;
  const control = { tokens, position };
  const { out } = await run(attention, {
    params: {
      ...shared,
      kv_heads: input.kvHeads,
      key_quads: keyDim / 4,
      key_head_quads: layout.keyHeadQuads,
      key_row_quads: layout.keyRowQuads,
      value_head_quads: valuesInKeys ? layout.keyHeadQuads : layout.valueHeadQuads,
      value_row_quads: valuesInKeys ? layout.keyRowQuads : layout.valueRowQuads,
      value_shift: valuesInKeys ? 3 : 0,
      values_first: layout.valuesFirst,
      key_scales: layout.keyScales,
      value_scales: valuesInKeys ? layout.keyScales : layout.valueScales,
      rows: layout.rows,
      tile_rows: rows.rows,
      has_sinks: sinks ? 1 : 0,
      scale: input.scale,
      softcap: input.softcap,
    },
    buffers: { q: Float32Array.from(q), sinks: sinkBuffer, out: bytes * (tokens + 1) },
    weights: new Uint8Array(layer.cache.buffer),
    parts: [layer.format.read, rows.part, attentionKeys[sharing.keys].part],
    constants: { LANES: lanes, GROUPS: sharing.groups },
    control,
    tokens: tokens + 1,
  });
  const written = (tokens * bytes) / 4;
  expect(out.words.subarray(written)).toEqual(out.before.subarray(written));
  if (!sharing.split) return out.floats.subarray(0, tokens * width);
  const merged = await run(attentionMerge, {
    params: { ...shared, has_sinks: sinks ? 1 : 0 },
    buffers: { parts: out.floats, sinks: sinkBuffer, out: 4 * width * (tokens + 1) },
    control,
    tokens: tokens + 1,
  });
  expect(merged.out.words.subarray(tokens * width)).toEqual(
    merged.out.before.subarray(tokens * width),
  );
  return merged.out.floats.subarray(0, tokens * width);
}

function referenceOf({ input, layout, format, cache }: Layer, sharing: Sharing) {
  const tile = attentionKeys[sharing.keys].keys * lanesFor(input, sharing);
  const numbers = unpackCache(format, layout, cache);
  return attentionReference({ ...input, cache: numbers, tile, span: sharing.span * tile });
}

/** Puts NaN into the rows that hold no position from `first` to `end`. */
function spoilUnseen(
  numbers: Float32Array,
  { rows, keyRowQuads, valueRowQuads, valuesFirst }: KvLayout,
  { first, end }: { readonly first: number; readonly end: number },
): void {
  const seen = new Set<number>();
  for (let position = Math.max(0, first); position < end; position++) seen.add(position % rows);
  for (let row = 0; row < rows; row++) {
    if (seen.has(row)) continue;
    numbers.fill(Number.NaN, 4 * row * keyRowQuads, 4 * (row + 1) * keyRowQuads);
    const value = 4 * (valuesFirst + row * valueRowQuads);
    if (valueRowQuads > 0) numbers.fill(Number.NaN, value, value + 4 * valueRowQuads);
  }
}

interface Shape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly valueDim?: number;
  readonly valuesInKeys?: boolean;
}

const SHAPES: readonly Shape[] = [
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
];

/** What a layer is drawn from. */
const drawnLayer = fc.record({
  shape: fc.constantFrom(...SHAPES),
  position: fc.constantFrom<number[]>(0, 1, 30, 31, 63, 64, 131),
  tokens: fc.constantFrom<number[]>(1, 2, 3, 4, 5, 9, 40),
  window: fc.constantFrom<number[]>(CONTEXT, CONTEXT, 1, 7, 33, 65),
  ring: fc.boolean(),
  softcap: fc.constantFrom<number[]>(0, 0, 3, 30),
  hasSinks: fc.boolean(),
  plant: fc.constantFrom(...plants),
  seed: fc.integer(),
});

type DrawnLayer = typeof drawnLayer extends fc.Arbitrary<infer Drawn> ? Drawn : never;

function layerOf(format: CacheFormat, drawn: DrawnLayer): Layer {
  const { shape, tokens, window, softcap, seed } = drawn;
  const position = Math.min(drawn.position, CONTEXT - tokens);
  const { heads, kvHeads, headDim, valueDim = headDim, valuesInKeys = false } = shape;
  const random = createRandom(seed);
  const scale = Math.fround(1 / Math.sqrt(headDim));
  const least = drawn.ring ? Math.min(CONTEXT, window + tokens - 1) : CONTEXT;
  const layout = planKvCache({ ...shape, layer: 0, scale }, format, Math.ceil(least / 8) * 8);
  const numbers = randomInput(random, cacheNumbers(layout), drawn.plant);
  spoilUnseen(numbers, layout, { first: position - window + 1, end: position + tokens });
  const values = valuesInKeys
    ? { valueStep: 4 * layout.keyHeadQuads, valueStride: 4 * layout.keyRowQuads }
    : { valueStep: 4 * layout.valueHeadQuads, valueStride: 4 * layout.valueRowQuads };
  const input = {
    ...{ heads, kvHeads, keyDim: headDim, valueDim, scale, softcap, window, position },
    ...{ keyStep: 4 * layout.keyHeadQuads, keyStride: 4 * layout.keyRowQuads },
    ...values,
    valuesFirst: 4 * layout.valuesFirst,
    rows: layout.rows,
    sinks: drawn.hasSinks ? randomInput(random, heads) : undefined,
    q: randomInput(random, tokens * heads * headDim),
  };
  return { input, layout, format, cache: packCache(format, layout, numbers), valuesInKeys };
}

describe.for(CASES)("attention, $name, $format.name", ({ name, format }) => {
  const sharing = SHARINGS[name];

  kernelTest("agrees with f64 and reads no key that a query must not see", async ({ run }) => {
    await fc.assert(
      fc.asyncProperty(drawnLayer, async (drawn) => {
        const layer = layerOf(format, drawn);

        const out = await attend(run, layer, sharing);

        expectWithin(out, referenceOf(layer, sharing));
      }),
      { numRuns: runs(10) },
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
    const drawn = {
      ...{ shape: { heads: 1, kvHeads: 1, headDim: 4 }, position: 130, tokens: 1 },
      ...{ window: CONTEXT, ring: false, softcap: 0, hasSinks: false, seed: 1 },
      plant: "none" as const,
    };
    const { input, layout, valuesInKeys } = layerOf(format, drawn);
    const numbers = randomInput(createRandom(1), cacheNumbers(layout));
    for (let key = 0; key <= drawn.position; key++) numbers[key * input.keyStride] = score(key);
    const layer = {
      input: { ...input, scale: 1, q: Float32Array.of(1, 0, 0, 0) },
      ...{ layout, format, valuesInKeys, cache: packCache(format, layout, numbers) },
    };

    const out = await attend(run, layer, sharing);

    expectWithin(out, referenceOf(layer, sharing));
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const places = { key_head_quads: 8, key_row_quads: 8, value_head_quads: 8, value_row_quads: 8 };
    const { out } = await run(attention, {
      params: {
        ...{ heads: 1, kv_heads: 1, key_quads: 1, value_quads: 1, ...places, value_shift: 0 },
        ...{ values_first: 64, key_scales: 0, value_scales: 0, rows: 8, window: 1 },
        ...{ span_keys: 32, splits: 0, tile_rows: 1, has_sinks: 0, scale: 1, softcap: 0 },
      },
      buffers: { q: new Float32Array(4), sinks: 16, out: 16 },
      weights: new Uint8Array(2048),
      parts: [format.read, attentionRows[sharing.rows].part, attentionKeys[sharing.keys].part],
      constants: { LANES: sharing.lanes, GROUPS: sharing.groups },
      control: { tokens: 1, fault: 1 },
    });

    expect(out.words).toEqual(out.before);
  });
});

describe.for(Object.values(cacheFormats))("attention, in any pass, $name", (format) => {
  kernelTest("gives a token the same bits, split or not, alone or with others", async ({ run }) => {
    await fc.assert(
      fc.asyncProperty(drawnLayer, async (drawn) => {
        const layer = layerOf(format, { ...drawn, tokens: 6 });
        const { input } = layer;
        const own = { keys: "four", lanes: 8, groups: 1, span: 1 } as const;
        const width = input.heads * input.keyDim;

        const together = await attend(run, layer, { ...own, rows: "four", split: false });
        const grouped = await attend(run, layer, { ...own, rows: "four", groups: 2, split: true });
        const alone: number[] = [];
        for (let token = 0; token < 6; token++) {
          const q = input.q.slice(token * width, (token + 1) * width);
          const single = { ...layer, input: { ...input, q, position: input.position + token } };
          const rows = token % 2 === 0 ? "one" : "four";
          alone.push(...(await attend(run, single, { ...own, rows, split: token >= 2 })));
        }

        expect(grouped).toEqual(together);
        expect(Float32Array.from(alone)).toEqual(together);
      }),
      { numRuns: runs(5) },
    );
  });
});

kernelTest("attention_merge does nothing once a router has faulted", async ({ run }) => {
  const { out } = await run(attentionMerge, {
    params: { heads: 1, value_quads: 1, window: 8, span_keys: 8, splits: 2, has_sinks: 0 },
    buffers: { parts: new Float32Array(16), sinks: 16, out: 16 },
    control: { tokens: 1, fault: 1 },
  });

  expect(out.words).toEqual(out.before);
});

/** Two ways to go through the same tiles. */
const TWINS = [
  { rows: "four", keys: "four", lanes: 16, groups: 1, span: 2, split: false },
  { rows: "four", keys: "one", lanes: 64, groups: 2, span: 2, split: true },
] as const satisfies readonly Sharing[];

kernelTest("a key a lane gives the bits of four keys a lane", async ({ run }) => {
  await fc.assert(
    fc.asyncProperty(drawnLayer, async (drawn) => {
      // Of heads so wide that both need more lanes, tiles differ.
      fc.pre((drawn.shape.valueDim ?? drawn.shape.headDim) <= 128);
      const layer = layerOf(cacheFormats.f32, drawn);

      expect(await attend(run, layer, TWINS[1])).toEqual(await attend(run, layer, TWINS[0]));
    }),
    { numRuns: runs(10) },
  );
});
