import { causalConv, MAX_TAPS } from "../../kernels/causal_conv.ts";
import { gatedNorm } from "../../kernels/gated_norm.ts";
import { activationParts, convParts } from "../../kernels/parts.ts";
import { ssmScan } from "../../kernels/ssm_scan.ts";
import { checkMost, checkMultiple, checkWidth } from "../checks.ts";
import {
  type Mamba2Spec,
  mambaChannels,
  mambaInner,
  projectedWidth,
  type RecurrentSpec,
  type ShortConvSpec,
} from "../recurrent.ts";
import type { GpuTensor, Recording } from "./recording.ts";

/** What the scan's kernel reads at once. */
const STATE_QUAD = 4;

/** `Ops.shortConv`. */
export function recordShortConv(
  recording: Recording,
  x: GpuTensor,
  spec: ShortConvSpec,
): GpuTensor {
  checkWidth(spec.filter, x.width, projectedWidth(spec));
  return recordConv(recording, x, spec, {
    channels: spec.channels,
    inputFirst: 0,
    filters: recording.gpu.vectors(spec.filter),
    parts: [convParts.gated],
  });
}

/** `Ops.mamba2`. */
export function recordMamba2(recording: Recording, x: GpuTensor, spec: Mamba2Spec): GpuTensor {
  const { gpu } = recording;
  checkWidth(spec.filter, x.width, projectedWidth(spec));
  const convolved = recordConv(recording, x, spec, {
    channels: mambaChannels(spec),
    inputFirst: mambaInner(spec),
    filters: gpu.vectors(spec.filter, spec.filterBias),
    parts: [convParts.activated, activationParts.silu],
  });
  return recordGatedNorm(recording, recordScan(recording, convolved, x, spec), x, spec);
}

/** The convolution of `channels` columns of x from `inputFirst` on. -> `[tokens, channels]` */
function recordConv(
  recording: Recording,
  x: GpuTensor,
  { layer, taps }: RecurrentSpec,
  conv: { channels: number; inputFirst: number; filters: GPUBuffer; parts: readonly string[] },
): GpuTensor {
  const { gpu, recorder } = recording;
  const { channels, inputFirst, filters, parts } = conv;
  checkMost(`the convolution's length in layer ${layer}`, taps, MAX_TAPS);
  const y = recording.tensor(channels);
  recorder.dispatch(causalConv, {
    params: { channels, taps, width: x.width, input_first: inputFirst },
    buffers: { x: x.scratch, filters, state: gpu.state(layer, "inputs"), y: y.scratch },
    parts,
  });
  return y;
}

/** The scan of what was convolved; `projected` has the time steps. -> `[tokens, heads * headDim]` */
function recordScan(
  recording: Recording,
  convolved: GpuTensor,
  projected: GpuTensor,
  spec: Mamba2Spec,
): GpuTensor {
  const { gpu, recorder } = recording;
  const { layer, heads, headDim, groups, stateDim, timeBias, decay, skip } = spec;
  checkMultiple(`the state of a dimension in layer ${layer}`, stateDim, STATE_QUAD);
  checkMultiple(`the width of the scan in layer ${layer}`, mambaInner(spec), STATE_QUAD);
  const y = recording.tensor(mambaInner(spec));
  recorder.dispatch(ssmScan, {
    params: {
      heads,
      head_dim: headDim,
      groups,
      state_dim: stateDim,
      width: convolved.width,
      projected_width: projected.width,
      times_first: projected.width - heads,
    },
    buffers: {
      x: convolved.scratch,
      projected: projected.scratch,
      heads_own: gpu.vectors(timeBias, decay, skip),
      state: gpu.state(layer, "scan"),
      y: y.scratch,
    },
    parts: [gpu.variant.matrix.reduce],
    constants: gpu.variant.matrix.constants,
  });
  return y;
}

/** `x` times its activated gates, which `projected` starts with, normalised. -> `[tokens, x.width]` */
function recordGatedNorm(
  recording: Recording,
  x: GpuTensor,
  projected: GpuTensor,
  { groups, norm, epsilon }: Mamba2Spec,
): GpuTensor {
  const { gpu, recorder } = recording;
  const y = recording.tensor(x.width);
  recorder.dispatch(gatedNorm, {
    params: { groups, width: x.width / groups, gates_width: projected.width, epsilon },
    buffers: { x: x.scratch, gates: projected.scratch, weight: gpu.vectors(norm), y: y.scratch },
    parts: [gpu.variant.norm.reduce, activationParts.silu],
    constants: gpu.variant.norm.constants,
  });
  return y;
}
