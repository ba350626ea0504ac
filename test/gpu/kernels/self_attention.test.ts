import fc from "fast-check";
import { describe, expect } from "vitest";
import type { CacheFormat } from "../../../src/formats/cache/format.ts";
import { cacheFormats } from "../../../src/formats/cache/registry.ts";
import { attention, attentionKeys, attentionRows } from "../../../src/kernels/attention.ts";
import { headNormParts, rotatedParts } from "../../../src/kernels/parts.ts";
import { rotateAppend } from "../../../src/kernels/rotate_append.ts";
import { selfAttention } from "../../../src/kernels/self_attention.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { planKvCache } from "../../../src/ops/kv-layout.ts";
import { cacheNumbers, packCache } from "../../helpers/kv-cache.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { randomInput } from "./cases.ts";

const CONTEXT = 80;

interface Shape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly valueDim?: number;
  readonly ropeDims: number;
  readonly ropeFirst?: number;
}

const SHAPES: readonly Shape[] = [
  { heads: 1, kvHeads: 1, headDim: 4, ropeDims: 4 },
  { heads: 3, kvHeads: 1, headDim: 12, ropeDims: 2 },
  { heads: 4, kvHeads: 2, headDim: 64, ropeDims: 64 },
  { heads: 7, kvHeads: 1, headDim: 20, ropeDims: 12 },
  { heads: 2, kvHeads: 1, headDim: 80, ropeDims: 20, ropeFirst: 34 },
  { heads: 2, kvHeads: 2, headDim: 8, ropeDims: 0 },
  { heads: 2, kvHeads: 2, headDim: 8, ropeDims: 8, valueDim: 12 },
  { heads: 16, kvHeads: 2, headDim: 32, ropeDims: 32 },
  // As many as one workgroup has room for.
  { heads: 32, kvHeads: 1, headDim: 16, ropeDims: 8 },
];

/** How a workgroup shares its work: `rows * groups` queries of a KV head fit. */
const SHARINGS = [
  { rows: "four", keys: "four", lanes: 16, groups: 2, span: 64, split: false },
  { rows: "four", keys: "four", lanes: 16, groups: 4, span: 64, split: true },
  { rows: "four", keys: "one", lanes: 32, groups: 2, span: 32, split: true },
  { rows: "four", keys: "one", lanes: 32, groups: 4, span: 64, split: false },
] as const;

const drawing = fc.record({
  shape: fc.constantFrom(...SHAPES),
  sharing: fc.constantFrom(...SHARINGS),
  pairing: fc.constantFrom(0, 1),
  normMode: fc.constantFrom(0, 1, 2),
  normValues: fc.constantFrom(0, 1),
  rotateNorms: fc.constantFrom("alone", "shared"),
  once: fc.constantFrom("numbers", "quads"),
  first: fc.constantFrom("numbers", "quads"),
  keysAreValues: fc.boolean(),
  position: fc.constantFrom<number[]>(0, 1, 7, 31, 32, 63, 64, CONTEXT - 1),
  window: fc.constantFrom<number[]>(CONTEXT, CONTEXT, 1, 7, 33),
  ring: fc.boolean(),
  softcap: fc.constantFrom(0, 30),
  hasSinks: fc.constantFrom(0, 1),
  seed: fc.integer(),
});

type Drawn = typeof drawing extends fc.Arbitrary<infer Value> ? Value : never;

/** What both ways are run with. */
function caseOf(format: CacheFormat, drawn: Drawn) {
  const { shape, sharing, window } = drawn;
  const { heads, kvHeads, headDim, ropeDims, ropeFirst = 0 } = shape;
  const sameDim = drawn.keysAreValues || shape.valueDim === undefined;
  const valueDim = sameDim ? headDim : shape.valueDim;
  const widths = { q: heads * headDim, k: kvHeads * headDim, v: kvHeads * valueDim };
  const random = createRandom(drawn.seed);
  const least = drawn.ring ? Math.min(CONTEXT, window) : CONTEXT;
  const rows = Math.ceil(least / 8) * 8;
  const scale = Math.fround(1 / Math.sqrt(headDim));
  const layout = planKvCache({ layer: 0, heads, kvHeads, headDim, valueDim, scale }, format, rows);
  const normWidth = drawn.normMode === 2 ? widths.q + widths.k : 2 * headDim;
  const hasNorms = drawn.normMode > 0 || drawn.normValues > 0;
  const groups = Math.max(sharing.groups, heads / kvHeads / attentionRows[sharing.rows].rows);
  const inQuads = ropeFirst % 4 === 0 && ropeDims % 8 === 0;
  const splits = sharing.split ? Math.ceil(CONTEXT / sharing.span) + 1 : 0;
  const angles = Array.from({ length: CONTEXT * Math.max(1, ropeDims / 2) }, () => random.normal());
  const places = {
    key_head_quads: layout.keyHeadQuads,
    key_row_quads: layout.keyRowQuads,
    value_head_quads: layout.valueHeadQuads,
    value_row_quads: layout.valueRowQuads,
    values_first: layout.valuesFirst,
    key_scales: layout.keyScales,
    value_scales: layout.valueScales,
    rows,
  };
  return {
    widths,
    qkv: randomInput(random, widths.q + widths.k + (drawn.keysAreValues ? 0 : widths.v)),
    weights: randomInput(random, normWidth),
    table: Float32Array.from(angles.flatMap((angle) => [Math.cos(angle), Math.sin(angle)])),
    sinks: randomInput(random, heads),
    cache: packCache(format, layout, randomInput(random, cacheNumbers(layout))),
    outBytes: splits > 0 ? 4 * heads * splits * (valueDim + 4) : 4 * heads * valueDim,
    rotation: {
      k_first: widths.q,
      v_first: drawn.keysAreValues ? widths.q : widths.q + widths.k,
      head_dim: headDim,
      value_dim: valueDim,
      rope_dims: ropeDims,
      rope_first: ropeFirst,
      pairing: drawn.pairing,
      norm_mode: drawn.normMode,
      norm_values: drawn.normValues,
      epsilon: 1e-5,
    },
    places,
    attended: {
      ...places,
      heads,
      kv_heads: kvHeads,
      key_quads: headDim / 4,
      value_quads: valueDim / 4,
      value_shift: 0,
      window,
      span_keys: sharing.span,
      splits,
      tile_rows: attentionRows[sharing.rows].rows,
      has_sinks: drawn.hasSinks,
      scale,
      softcap: drawn.softcap,
    },
    once: inQuads ? drawn.once : "numbers",
    first: inQuads ? drawn.first : "numbers",
    norms: headNormParts[hasNorms ? "shared" : "none"],
    rotateNorms: headNormParts[hasNorms ? drawn.rotateNorms : "none"],
    readers: [format.read, attentionRows[sharing.rows].part, attentionKeys[sharing.keys].part],
    constants: groups > 4 ? { LANES: 8, GROUPS: groups } : { LANES: sharing.lanes, GROUPS: groups },
    control: { tokens: 1, position: drawn.position },
  };
}

describe.for(Object.values(cacheFormats))("self_attention, $name", (format) => {
  kernelTest("gives the bits of rotate_append and attention, in the cache too", async ({ run }) => {
    await fc.assert(
      fc.asyncProperty(drawing, async (drawn) => {
        const { widths, qkv, weights, table, sinks, cache, outBytes, ...own } = caseOf(
          format,
          drawn,
        );
        const { constants, control, readers } = own;

        const once = await run(selfAttention, {
          params: { ...own.attended, ...own.rotation },
          buffers: { qkv, norms: weights, table, sinks, cache, out: outBytes },
          parts: [...readers, format.write, own.norms, rotatedParts[own.once]],
          ...{ constants, control },
        });
        const rotated = await run(rotateAppend, {
          params: {
            ...own.places,
            ...own.rotation,
            heads: drawn.shape.heads,
            kv_heads: drawn.shape.kvHeads,
            value_heads: drawn.shape.kvHeads,
            ...{ q_row: qkv.length, k_row: qkv.length, v_row: qkv.length },
          },
          buffers: { q: qkv, k: qkv, v: qkv, norms: weights, table, q_out: 4 * widths.q, cache },
          parts: [format.read, format.write, own.rotateNorms, rotatedParts[own.first]],
          control,
        });
        const attended = await run(attention, {
          params: own.attended,
          buffers: { q: rotated.q_out.floats, sinks, out: outBytes },
          weights: new Uint8Array(rotated.cache.words.slice().buffer),
          parts: readers,
          ...{ constants, control },
        });

        expect(once.cache.words).toEqual(rotated.cache.words);
        expect(resultsOf(once.out.words, own)).toEqual(resultsOf(attended.out.words, own));
      }),
      { numRuns: runs(5) },
    );
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const drawn = { ...fc.sample(drawing, { numRuns: 1, seed: 1 })[0]!, shape: SHAPES[2]! };
    const { qkv, weights, table, sinks, cache, outBytes, ...own } = caseOf(format, drawn);

    const { out, cache: after } = await run(selfAttention, {
      params: { ...own.attended, ...own.rotation },
      buffers: { qkv, norms: weights, table, sinks, cache, out: outBytes },
      parts: [...own.readers, format.write, own.norms, rotatedParts.numbers],
      constants: own.constants,
      control: { ...own.control, fault: 1 },
    });

    expect(out.words).toEqual(out.before);
    expect(after.words).toEqual(after.before);
  });
});

/** What is written of `out`: of a split query the spans that it sees, and of those no padding. */
function resultsOf(
  out: Uint32Array,
  { attended, control }: Pick<ReturnType<typeof caseOf>, "attended" | "control">,
): number[][] {
  const { heads, splits, span_keys, window, value_quads } = attended;
  if (splits === 0) return [[...out]];
  const end = control.position + 1;
  const firstSpan = Math.floor(Math.max(0, end - window) / span_keys);
  const spans = Math.floor((end - 1) / span_keys) - firstSpan + 1;
  const width = 4 * (value_quads + 1);
  return Array.from({ length: heads * splits }, (_, part) => part)
    .filter((part) => part % splits < spans)
    .map((part) => [...out.subarray(part * width, (part + 1) * width)]);
}
