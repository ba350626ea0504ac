import { attention } from "../../kernels/attention.ts";
import { rotateAppend } from "../../kernels/rotate_append.ts";
import { checkMost, checkMultiple, checkWidth } from "../checks.ts";
import type { AttentionSpec, RopeSpec } from "../ops.ts";
import type { GpuTensor, Recording } from "./recording.ts";

/** What the kernel's registers hold: see `shaders/attention`. */
const MAX_HEAD_DIM = 256;

/** Least context of a rope table that a layer without positions binds and never reads. */
const NO_ROPE: RopeSpec = { dims: 2, base: 1, pairing: "half-split" };

/** `Ops.attention`. */
export function recordAttention(
  recording: Recording,
  q: GpuTensor,
  k: GpuTensor,
  v: GpuTensor,
  spec: AttentionSpec,
): GpuTensor {
  const { gpu, recorder } = recording;
  const { heads, kvHeads, headDim, rope, norm } = spec;
  checkWidth(`q of layer ${spec.layer}`, q.width, heads * headDim);
  checkWidth(`k of layer ${spec.layer}`, k.width, kvHeads * headDim);
  checkWidth(`v of layer ${spec.layer}`, v.width, kvHeads * headDim);
  checkMultiple(`the head size of layer ${spec.layer}`, headDim, 4);
  checkMost(`the head size of layer ${spec.layer}`, headDim, MAX_HEAD_DIM);
  const context = gpu.contextTokens;
  const table = gpu.ropeTable(rope ?? NO_ROPE);
  const cache = gpu.kvCache(spec.layer);
  const rotated = recording.tensor(q.width);
  recorder.dispatch(rotateAppend, {
    params: {
      heads,
      kv_heads: kvHeads,
      head_dim: headDim,
      context,
      rope_dims: rope?.dims ?? 0,
      rope_first: rope?.first ?? 0,
      pairing: rope?.pairing === "interleaved" ? 1 : 0,
      norm_mode: norm ? (norm.over === "head" ? 1 : 2) : 0,
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
      cache,
    },
    parts: [gpu.variant.reduce],
    constants: gpu.variant.rotate,
  });
  const out = recording.tensor(q.width);
  recorder.dispatch(attention, {
    params: {
      heads,
      kv_heads: kvHeads,
      head_dim: headDim,
      context,
      window: spec.window ?? context,
      scale: spec.scale,
    },
    buffers: { q: rotated.scratch, cache, out: out.scratch },
    constants: gpu.variant.attention,
  });
  return out;
}
