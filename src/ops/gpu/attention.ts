import type { CacheFormat } from "../../formats/cache/format.ts";
import { attention, attentionKeys, attentionRows } from "../../kernels/attention.ts";
import { attentionMerge } from "../../kernels/attention_merge.ts";
import { rotateAppend } from "../../kernels/rotate_append.ts";
import { checkMost, checkMultiple, checkWidth } from "../checks.ts";
import { KEY_BLOCK, type KvLayout, planKvCache, valueDimOf } from "../kv-layout.ts";
import type { AttentionSpec, RopeSpec } from "../ops.ts";
import type { Bound } from "../program.ts";
import type { GpuTensor, Recording } from "./recording.ts";

/** Quads of a result that a lane of the kernel keeps in registers: `SLOTS` of `shaders/attention`. */
const LANE_QUADS = 2;
const MOST_LANES = 64;
/** `MOST_STAGED` of `shaders/cache`. */
const MOST_HEAD_DIM = 1024;
const MOST_INVOCATIONS = 128;
/** Longer than any context, and a multiple of every tile. */
const ENDLESS_SPAN = 2 ** 31;
/**
 * Passes of more tokens have workgroups enough without splitting their keys, and the parts would take much room. What
 * is computed is the same.
 */
const MOST_SPLIT_TOKENS = 8;
/** Spans of a whole context, about. */
const MOST_SPLITS = 128;

/** Least context of a rope table that a layer without positions binds and never reads. */
const NO_ROPE: RopeSpec = { dims: 2, base: 1, pairing: "half-split" };

/** Queries, keys and values as the projections leave them: three tensors, or the same one, fused. */
interface Projected {
  readonly q: GpuTensor;
  readonly k: GpuTensor;
  readonly v: GpuTensor;
}

/** `Ops.attention`. */
export function recordAttention(
  recording: Recording,
  projected: Projected,
  spec: AttentionSpec,
): GpuTensor {
  checkShapes(projected, spec);
  return recordCached(recording, spec, (target) =>
    recordRotation(recording, projected, spec, target),
  );
}

/**
 * Attention over a cache to which `append` writes first.
 *
 * @param append records what writes the pass's keys and values to a target; its result are the queries that attend,
 * `[tokens, heads * headDim]`
 */
export function recordCached(
  recording: Recording,
  spec: AttentionSpec,
  append: (target: CacheTarget) => GpuTensor,
): GpuTensor {
  const valueDim = valueDimOf(spec);
  checkMultiple(`the head size of layer ${spec.layer}`, spec.headDim, 4);
  checkMultiple(`the size of a head's values in layer ${spec.layer}`, valueDim, 4);
  const mostDims = 4 * LANE_QUADS * MOST_LANES;
  checkMost(`the head size of layer ${spec.layer}`, spec.headDim, MOST_HEAD_DIM);
  checkMost(`the size of a head's values in layer ${spec.layer}`, valueDim, mostDims);
  const { buffer, format, rows } = recording.gpu.kvCache(spec.layer);
  const layout = planKvCache(spec, format, rows);
  return recordProducts(recording, append({ buffer, layout, format }), spec, layout);
}

function checkShapes({ q, k, v }: Projected, spec: AttentionSpec): void {
  const { layer, heads, kvHeads, headDim, fused, valuesInKeys, keysAreValues } = spec;
  const valueDim = valueDimOf(spec);
  const widths = [heads * headDim, kvHeads * headDim, kvHeads * valueDim] as const;
  if (fused !== undefined) {
    checkWidth(fused, q.width, widths[0] + widths[1] + (keysAreValues ? 0 : widths[2]));
  } else {
    checkWidth(`q of layer ${layer}`, q.width, widths[0]);
    checkWidth(`k of layer ${layer}`, k.width, widths[1]);
    if (!valuesInKeys) checkWidth(`v of layer ${layer}`, v.width, widths[2]);
  }
}

/** Where a pass's keys and values go. */
export interface CacheTarget {
  readonly buffer: Bound;
  readonly layout: KvLayout;
  readonly format: CacheFormat;
}

/** Norms and rotates q and k, and writes k and v to `target`. */
function recordRotation(
  recording: Recording,
  { q, k, v }: Projected,
  spec: AttentionSpec,
  { buffer, layout, format }: CacheTarget,
): GpuTensor {
  const { gpu, recorder } = recording;
  const { heads, kvHeads, headDim, rope, norm, fused, valuesInKeys, keysAreValues } = spec;
  const keysFirst = fused === undefined ? 0 : heads * headDim;
  const table = gpu.ropeTable(rope ?? NO_ROPE);
  const rotated = recording.tensor(heads * headDim);
  recorder.dispatch(rotateAppend, {
    params: {
      heads,
      kv_heads: kvHeads,
      value_heads: valuesInKeys ? 0 : kvHeads,
      head_dim: headDim,
      value_dim: valueDimOf(spec),
      q_row: q.width,
      k_row: k.width,
      v_row: v.width,
      k_first: keysFirst,
      v_first: fused === undefined || keysAreValues ? keysFirst : keysFirst + kvHeads * headDim,
      rows: layout.rows,
      ...placesOf(layout),
      rope_dims: rope?.dims ?? 0,
      rope_first: rope?.first ?? 0,
      pairing: rope?.pairing === "interleaved" ? 1 : 0,
      norm_mode: norm ? (norm.over === "head" ? 1 : 2) : 0,
      norm_values: norm?.ofValues ? 1 : 0,
      epsilon: norm?.epsilon ?? 0,
    },
    buffers: {
      q: q.scratch,
      k: k.scratch,
      v: v.scratch,
      // Without a norm nothing reads it; the table is as good as any buffer that is only read.
      norms: norm ? gpu.vectors(norm.q, norm.k) : table,
      table,
      q_out: rotated.scratch,
      cache: buffer,
    },
    parts: [gpu.variant.rotate.reduce, format.write],
    constants: gpu.variant.rotate.constants,
  });
  return rotated;
}

/** A layout as kernels take it. */
function placesOf(layout: KvLayout) {
  return {
    key_head_quads: layout.keyHeadQuads,
    key_row_quads: layout.keyRowQuads,
    value_head_quads: layout.valueHeadQuads,
    value_row_quads: layout.valueRowQuads,
    values_first: layout.valuesFirst,
    key_scales: layout.keyScales,
    value_scales: layout.valueScales,
  };
}

/** Attends to what is cached. q `[tokens, heads * headDim]` -> `[tokens, heads * valueDim]` */
function recordProducts(
  recording: Recording,
  q: GpuTensor,
  spec: AttentionSpec,
  layout: KvLayout,
): GpuTensor {
  const { gpu, recorder } = recording;
  const { layer, heads, kvHeads, headDim, sinks, scale, softcap = 0 } = spec;
  const { buffer, format } = gpu.kvCache(layer);
  const valueQuads = valueDimOf(spec) / 4;
  const { rows, keys, constants, spanKeys } = planAttention(recording, spec);
  const window = spec.window ?? gpu.contextTokens;
  const splits = countSplits(recording, spanKeys, window);
  const ofSinks = {
    has_sinks: sinks === undefined ? 0 : 1,
    sinks: sinks === undefined ? q.scratch : gpu.vector(sinks, heads),
  };
  const out = recording.tensor(heads * 4 * valueQuads);
  const partBytes = 16 * recording.maxTokens * heads * splits * (valueQuads + 1);
  const parts = splits > 0 ? recorder.scratch(partBytes) : out.scratch;
  recorder.dispatch(attention, {
    params: {
      heads,
      kv_heads: kvHeads,
      key_quads: headDim / 4,
      value_quads: valueQuads,
      ...placesOf(layout),
      ...(spec.valuesInKeys ? valuesOfKeys(layout) : { value_shift: 0 }),
      rows: layout.rows,
      window,
      span_keys: spanKeys,
      splits,
      tile_rows: rows.rows,
      has_sinks: ofSinks.has_sinks,
      scale,
      softcap,
    },
    buffers: { q: q.scratch, sinks: ofSinks.sinks, out: parts },
    weights: buffer,
    parts: [format.read, rows.part, keys.part],
    constants,
  });
  if (splits > 0) {
    recorder.dispatch(attentionMerge, {
      params: {
        heads,
        value_quads: valueQuads,
        window,
        span_keys: spanKeys,
        splits,
        has_sinks: ofSinks.has_sinks,
      },
      buffers: { parts, sinks: ofSinks.sinks, out: out.scratch },
    });
  }
  return out;
}

/** Where values lie that are the first numbers of keys. */
function valuesOfKeys({ keyHeadQuads, keyRowQuads, keyScales }: KvLayout) {
  return {
    value_head_quads: keyHeadQuads,
    value_row_quads: keyRowQuads,
    value_scales: keyScales,
    value_shift: Math.log2(KEY_BLOCK),
  };
}

/**
 * How the kernel shares a layer's work. What a query's sums depend on, lanes and spans, is the same in every program.
 */
function planAttention({ gpu, maxTokens }: Recording, spec: AttentionSpec) {
  const { constants: most, laneKeys, splitKeys } = gpu.variant.attention;
  const keys = attentionKeys[laneKeys];
  const needed = Math.ceil(valueDimOf(spec) / 4 / LANE_QUADS);
  const lanes = Math.max(most.LANES!, 2 ** Math.ceil(Math.log2(needed)));
  const queries = maxTokens * (spec.heads / spec.kvHeads);
  // A long context is split into longer spans: each query's parts take room, and are merged one after another.
  const leastSpan = 2 ** Math.ceil(Math.log2(gpu.contextTokens / MOST_SPLITS));
  const rows = queries === 1 ? attentionRows.one : attentionRows.four;
  const groups = Math.min(most.GROUPS!, MOST_INVOCATIONS / lanes, Math.ceil(queries / rows.rows));
  return {
    rows,
    keys,
    constants: { LANES: lanes, GROUPS: groups },
    spanKeys: splitKeys === 0 ? ENDLESS_SPAN : Math.max(splitKeys, keys.keys * lanes, leastSpan),
  };
}

/** Into how many spans the keys of a pass's queries are split at most; 0: not at all. */
function countSplits({ gpu, maxTokens }: Recording, spanKeys: number, window: number): number {
  if (maxTokens > MOST_SPLIT_TOKENS) return 0;
  // A window begins and ends in the middle of a span.
  const ofWindow = Math.ceil((window + maxTokens - 1) / spanKeys) + 1;
  const splits = Math.min(Math.ceil(gpu.contextTokens / spanKeys), ofWindow);
  return splits > 1 ? splits : 0;
}
