import type { CacheFormat } from "../../formats/cache/format.ts";
import { attention } from "../../kernels/attention.ts";
import { packCache } from "../../kernels/pack_cache.ts";
import { rotateAppend } from "../../kernels/rotate_append.ts";
import { checkMost, checkMultiple, checkWidth } from "../checks.ts";
import { type KvLayout, planKvCache, valueDimOf } from "../kv-layout.ts";
import type { AttentionSpec, RopeSpec } from "../ops.ts";
import type { Bound } from "../program.ts";
import type { GpuTensor, Recording } from "./recording.ts";

/** Numbers of a result that a lane of the kernel keeps in registers: see `shaders/attention`. */
const LANE_DIMS = 8;
/** As many lanes as the kernel has scores for: heads that are too large for a variant's own number. */
const MOST_LANES = 64;

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
  checkMost(`the size of a head's values in layer ${spec.layer}`, valueDim, MOST_LANES * LANE_DIMS);
  const cache = recording.gpu.kvCache(spec.layer);
  const layout = planKvCache(spec, cache.format, cache.rows);
  const { buffer, format } = cache;
  if (format.write === undefined) {
    return recordProducts(recording, append({ buffer, layout }), spec, layout);
  }
  const staged = stage(recording, layout);
  const q = append(staged);
  recordPacking(recording, staged, { buffer, layout }, format.write);
  return recordProducts(recording, q, spec, layout);
}

function checkShapes({ q, k, v }: Projected, spec: AttentionSpec): void {
  const { layer, heads, kvHeads, headDim, fused, valuesInKeys } = spec;
  const valueDim = valueDimOf(spec);
  const widths = [heads * headDim, kvHeads * headDim, kvHeads * valueDim] as const;
  if (fused !== undefined) {
    checkWidth(fused, q.width, widths[0] + widths[1] + widths[2]);
  } else {
    checkWidth(`q of layer ${layer}`, q.width, widths[0]);
    checkWidth(`k of layer ${layer}`, k.width, widths[1]);
    if (!valuesInKeys) checkWidth(`v of layer ${layer}`, v.width, widths[2]);
  }
}

/** Keys and values in f32: the cache itself, or what is packed into it. */
export interface CacheTarget {
  readonly buffer: Bound;
  readonly layout: KvLayout;
}

/** Room for the keys and values of a pass, laid out as the cache's rows are. */
function stage({ recorder, maxTokens }: Recording, layout: KvLayout): CacheTarget {
  const { keyStride, valueStride } = layout;
  const bytes = 4 * maxTokens * (keyStride + valueStride);
  const valuesFirst = valueStride === 0 ? 0 : maxTokens * keyStride;
  return {
    buffer: recorder.scratch(bytes),
    layout: { ...layout, rows: maxTokens, valuesFirst, bytes },
  };
}

/** Norms and rotates q and k, and writes k and v to `target`. */
function recordRotation(
  recording: Recording,
  { q, k, v }: Projected,
  spec: AttentionSpec,
  { buffer, layout }: CacheTarget,
): GpuTensor {
  const { gpu, recorder } = recording;
  const { heads, kvHeads, headDim, rope, norm, fused, valuesInKeys } = spec;
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
      k_first: fused === undefined ? 0 : heads * headDim,
      v_first: fused === undefined ? 0 : (heads + kvHeads) * headDim,
      rows: layout.rows,
      key_stride: layout.keyStride,
      value_stride: layout.valueStride,
      values_first: layout.valuesFirst,
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
    parts: [gpu.variant.rotate.reduce],
    constants: gpu.variant.rotate.constants,
  });
  return rotated;
}

function recordPacking(
  { recorder }: Recording,
  staged: CacheTarget,
  { buffer, layout }: CacheTarget,
  write: NonNullable<CacheFormat["write"]>,
): void {
  recorder.dispatch(packCache, {
    params: {
      rows: layout.rows,
      staged_rows: staged.layout.rows,
      key_width: layout.keyWidth,
      value_width: layout.valueWidth,
      key_stride: layout.keyStride,
      value_stride: layout.valueStride,
      values_first: layout.valuesFirst,
      scales_first: layout.scalesFirst,
    },
    buffers: { staged: staged.buffer, cache: buffer },
    parts: [write],
  });
}

/** Attends to what is cached. q `[tokens, heads * headDim]` -> `[tokens, heads * valueDim]` */
function recordProducts(
  recording: Recording,
  q: GpuTensor,
  spec: AttentionSpec,
  layout: KvLayout,
): GpuTensor {
  const { gpu, recorder } = recording;
  const { layer, heads, kvHeads, headDim, sinks, scale, softcap = 0, valuesInKeys } = spec;
  const { buffer, format } = gpu.kvCache(layer);
  const valueDim = valueDimOf(spec);
  const own = gpu.variant.attention.constants;
  const out = recording.tensor(heads * valueDim);
  recorder.dispatch(attention, {
    params: {
      heads,
      kv_heads: kvHeads,
      key_dim: headDim,
      value_dim: valueDim,
      value_step: valuesInKeys ? headDim : valueDim,
      key_stride: layout.keyStride,
      value_stride: valuesInKeys ? layout.keyStride : layout.valueStride,
      values_first: layout.valuesFirst,
      scales_first: layout.scalesFirst,
      rows: layout.rows,
      window: spec.window ?? gpu.contextTokens,
      has_sinks: sinks === undefined ? 0 : 1,
      scale,
      softcap,
    },
    buffers: {
      q: q.scratch,
      sinks: sinks === undefined ? q.scratch : gpu.vector(sinks, heads),
      out: out.scratch,
    },
    weights: buffer,
    parts: [format.read],
    constants: valueDim > LANE_DIMS * own.LANES! ? { LANES: MOST_LANES } : own,
  });
  return out;
}
