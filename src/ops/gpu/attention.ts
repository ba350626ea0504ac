import type { CacheFormat } from "../../formats/cache/format.ts";
import type { ParamValues } from "../../gpu/kernel.ts";
import {
  attention,
  attentionKeys,
  type attentionParams,
  attentionRows,
} from "../../kernels/attention.ts";
import { attentionMerge } from "../../kernels/attention_merge.ts";
import { headNormParts, type RotateSizes, rotatedParts } from "../../kernels/parts.ts";
import { rotateAppend } from "../../kernels/rotate_append.ts";
import { selfAttention } from "../../kernels/self_attention.ts";
import { checkMost, checkMultiple, checkWidth } from "../checks.ts";
import { KEY_BLOCK, type KvLayout, planKvCache, valueDimOf } from "../kv-layout.ts";
import type { AttentionSpec, RopeSpec } from "../ops.ts";
import type { Bound, Scratch } from "../program.ts";
import { lazyTensor } from "./lazy.ts";
import type { GpuTensor, Recording } from "./recording.ts";

/** Quads of a result that a lane of the kernel keeps in registers: `SLOTS` of `shaders/attention`. */
const LANE_QUADS = 2;
const MOST_LANES = 64;
/** More than any model has. */
const MOST_HEAD_DIM = 1024;
const MOST_INVOCATIONS = 128;
/** Queries that share keys, in fours, of which one workgroup has room for what it keeps of all of them. */
const MOST_SELF_GROUPS = 8;
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
  const target = cacheTarget(recording, spec);
  if (isOneDispatch(recording, spec)) return recordAtOnce(recording, projected.q, spec, target);
  const queries = recordRotation(recording, projected, spec, target);
  return recordProducts(recording, queries, spec, target);
}

/**
 * Whether one dispatch rotates, caches and attends: in passes of one token, whose projections stand side by side, where
 * all queries of a KV head are one workgroup's and have room where their results go.
 */
function isOneDispatch(recording: Recording, spec: AttentionSpec): boolean {
  const { heads, kvHeads, headDim, fused, valuesInKeys } = spec;
  if (recording.maxTokens > 1 || fused === undefined || valuesInKeys) return false;
  const { rows, mostGroups } = planAttention(recording, spec);
  const room = rows.rows * Math.min(mostGroups, MOST_SELF_GROUPS);
  return headDim <= valueDimOf(spec) && heads / kvHeads <= room;
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
  const target = cacheTarget(recording, spec);
  return recordProducts(recording, append(target), spec, target);
}

/** A layer's cache. Throws "unsupported-model" for heads that no kernel has room for. */
function cacheTarget({ gpu }: Recording, spec: AttentionSpec): CacheTarget {
  const valueDim = valueDimOf(spec);
  checkMultiple(`the head size of layer ${spec.layer}`, spec.headDim, 4);
  checkMultiple(`the size of a head's values in layer ${spec.layer}`, valueDim, 4);
  const mostDims = 4 * LANE_QUADS * MOST_LANES;
  checkMost(`the head size of layer ${spec.layer}`, spec.headDim, MOST_HEAD_DIM);
  checkMost(`the size of a head's values in layer ${spec.layer}`, valueDim, mostDims);
  const { buffer, format, rows } = gpu.kvCache(spec.layer);
  return { buffer, layout: planKvCache(spec, format, rows), format };
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
  readonly buffer: GPUBuffer;
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
  const { heads, kvHeads, headDim, valuesInKeys } = spec;
  const { constants, norms } = gpu.variant.rotate;
  const { params, buffers, parts } = rotationOf(recording, spec, norms);
  const rotated = recording.tensor(heads * headDim);
  recorder.dispatch(rotateAppend, {
    params: {
      heads,
      kv_heads: kvHeads,
      value_heads: valuesInKeys ? 0 : kvHeads,
      q_row: q.width,
      k_row: k.width,
      v_row: v.width,
      rows: layout.rows,
      ...placesOf(layout),
      ...params,
    },
    buffers: {
      q: q.scratch,
      k: k.scratch,
      v: v.scratch,
      ...buffers,
      q_out: rotated.scratch,
      cache: buffer,
    },
    parts: [format.read, format.write, ...parts],
    constants,
  });
  return rotated;
}

/** How heads are normalised and rotated, as kernels take it: see `shaders/rope/heads.wgsl`. */
function rotationOf({ gpu }: Recording, spec: AttentionSpec, norms: RotateSizes["norms"]) {
  const { heads, kvHeads, headDim, rope, norm, fused, keysAreValues } = spec;
  const keysFirst = fused === undefined ? 0 : heads * headDim;
  const table = gpu.ropeTable(rope ?? NO_ROPE);
  const inQuads = (rope?.first ?? 0) % 4 === 0 && (rope?.dims ?? 0) % 8 === 0;
  return {
    params: {
      head_dim: headDim,
      value_dim: valueDimOf(spec),
      k_first: keysFirst,
      v_first: fused === undefined || keysAreValues ? keysFirst : keysFirst + kvHeads * headDim,
      rope_dims: rope?.dims ?? 0,
      rope_first: rope?.first ?? 0,
      pairing: rope?.pairing === "interleaved" ? 1 : 0,
      norm_mode: norm ? (norm.over === "head" ? 1 : 2) : 0,
      norm_values: norm?.ofValues ? 1 : 0,
      epsilon: norm?.epsilon ?? 0,
    },
    // Without a norm nothing reads its weights; the table is as good as any buffer that is only read.
    buffers: { norms: norm ? gpu.vectors(norm.q, norm.k) : table, table },
    parts: [headNormParts[norm ? norms : "none"], rotatedParts[inQuads ? "quads" : "numbers"]],
  };
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
  target: CacheTarget,
): GpuTensor {
  const { rows, keys, usualGroups, LANES } = planAttention(recording, spec);
  const queries = recording.maxTokens * (spec.heads / spec.kvHeads);
  const { scratch } = q;
  return recordAttended(recording, spec, target, (attended) =>
    recording.recorder.dispatch(attention, {
      params: attended.params,
      buffers: { q: scratch, sinks: attended.sinks ?? scratch, out: attended.out },
      weights: target.buffer,
      parts: [target.format.read, rows.part, keys.part],
      constants: { LANES, GROUPS: Math.min(usualGroups, Math.ceil(queries / rows.rows)) },
    }),
  );
}

/** Rotates, caches and attends. qkv `[1, heads * headDim + kvHeads * (headDim + valueDim)]` -> `[1, heads * valueDim]` */
function recordAtOnce(
  recording: Recording,
  qkv: GpuTensor,
  spec: AttentionSpec,
  target: CacheTarget,
): GpuTensor {
  const { buffer, format } = target;
  const { rows, keys, LANES } = planAttention(recording, spec);
  const { params, buffers, parts } = rotationOf(recording, spec, "shared");
  const { scratch } = qkv;
  return recordAttended(recording, spec, target, (attended) =>
    recording.recorder.dispatch(selfAttention, {
      params: { ...attended.params, ...params },
      buffers: {
        qkv: scratch,
        ...buffers,
        sinks: attended.sinks ?? buffers.table,
        cache: buffer,
        out: attended.out,
      },
      parts: [format.read, format.write, ...parts, rows.part, keys.part],
      constants: { LANES, GROUPS: Math.ceil(spec.heads / spec.kvHeads / rows.rows) },
    }),
  );
}

/** What a kernel attends by. */
interface Attended {
  readonly params: ParamValues<typeof attentionParams>;
  /** Undefined where there are none: then any buffer does that is only read, since nothing reads it. */
  readonly sinks: Bound | undefined;
  /** Where results go, or the parts that are merged to them. */
  readonly out: Scratch;
}

/** Records attention by `dispatch` and gives its result, `[tokens, heads * valueDim]`; it is merged by what reads it. */
function recordAttended(
  recording: Recording,
  spec: AttentionSpec,
  { layout }: CacheTarget,
  dispatch: (attended: Attended) => void,
): GpuTensor {
  const { gpu, recorder } = recording;
  const { heads, kvHeads, headDim, scale, softcap = 0 } = spec;
  const valueQuads = valueDimOf(spec) / 4;
  const { rows, spanKeys } = planAttention(recording, spec);
  const window = spec.window ?? gpu.contextTokens;
  const splits = countSplits(recording, spanKeys, window);
  const sinks = spec.sinks === undefined ? undefined : gpu.vector(spec.sinks, heads);
  const merging = {
    heads,
    value_quads: valueQuads,
    window,
    span_keys: spanKeys,
    splits,
    has_sinks: sinks ? 1 : 0,
  };
  const params = {
    ...merging,
    kv_heads: kvHeads,
    key_quads: headDim / 4,
    ...placesOf(layout),
    ...(spec.valuesInKeys ? valuesOfKeys(layout) : { value_shift: 0 }),
    rows: layout.rows,
    tile_rows: rows.rows,
    scale,
    softcap,
  };
  const width = heads * 4 * valueQuads;
  if (splits === 0) {
    const out = recording.tensor(width);
    dispatch({ params, sinks, out: out.scratch });
    return out;
  }
  const parts = recorder.scratch(16 * recording.maxTokens * heads * splits * (valueQuads + 1));
  dispatch({ params, sinks, out: parts });
  const pending = { kind: "spans", parts, sinks: sinks ?? parts, params: merging } as const;
  return lazyTensor({ width, single: false }, pending, () => {
    const out = recording.tensor(width);
    const buffers = { parts, sinks: pending.sinks, out: out.scratch };
    recorder.dispatch(attentionMerge, { params: merging, buffers });
    return out;
  });
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
 * How a kernel shares a layer's work. What a query's sums depend on, lanes and spans, is the same in every program.
 */
function planAttention({ gpu, maxTokens }: Recording, spec: AttentionSpec) {
  const { constants: own, laneKeys, splitKeys } = gpu.variant.attention;
  const keys = attentionKeys[laneKeys];
  const needed = Math.ceil(valueDimOf(spec) / 4 / LANE_QUADS);
  const lanes = Math.max(own.LANES!, 2 ** Math.ceil(Math.log2(needed)));
  // A long context is split into longer spans: each query's parts take room, and are merged one after another.
  const leastSpan = 2 ** Math.ceil(Math.log2(gpu.contextTokens / MOST_SPLITS));
  const isOne = maxTokens * (spec.heads / spec.kvHeads) === 1;
  return {
    LANES: lanes,
    rows: isOne ? attentionRows.one : attentionRows.four,
    keys,
    mostGroups: MOST_INVOCATIONS / lanes,
    /** Where nothing needs more in one workgroup. */
    usualGroups: Math.min(own.GROUPS!, MOST_INVOCATIONS / lanes),
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
