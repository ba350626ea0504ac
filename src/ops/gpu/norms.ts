import { joinedNorms } from "../../kernels/joined_norms.ts";
import { layerNorm } from "../../kernels/layer_norm.ts";
import { amongStrangers } from "../../kernels/parts.ts";
import { rmsNorm } from "../../kernels/rms_norm.ts";
import { checkWidth } from "../checks.ts";
import type { LayerNormOptions, NormOptions } from "../ops.ts";
import { lazyTensor, pendingOf } from "./lazy.ts";
import type { GpuTensor, Recording } from "./recording.ts";

/** `Ops.rmsNorm`; it may be left to what reads it, unless it has a scale. */
export function recordNorm(
  recording: Recording,
  x: GpuTensor,
  weight: string,
  epsilon: number,
  options: NormOptions<GpuTensor>,
): GpuTensor {
  const { residual, scale } = options;
  recording.gpu.vector(weight, x.width);
  if (residual) checkWidth(weight, residual.width, x.width);
  const norm = { x, weight, epsilon };
  const record = () =>
    recordJoined(recording, norm, options) ?? recordOne(recording, norm, options);
  if (scale !== undefined) return record();
  const pending = residual
    ? ({ kind: "norm-sum", ...norm, residual } as const)
    : ({ kind: "norm", ...norm } as const);
  return lazyTensor(x, pending, record);
}

interface Norm {
  readonly x: GpuTensor;
  readonly weight: string;
  readonly epsilon: number;
}

/** The norm of a sum of two norms of which neither is computed, in one dispatch; undefined where x is anything else. */
function recordJoined(
  recording: Recording,
  { x, weight, epsilon }: Norm,
  { residual, scale }: NormOptions<GpuTensor>,
): GpuTensor | undefined {
  const a = pendingOf(x, "norm-sum");
  const b = pendingOf(a?.residual, "norm");
  if (!a || !b || a.epsilon !== epsilon || b.epsilon !== epsilon) return undefined;
  const { gpu, recorder } = recording;
  const both = pendingOf(a.x, "experts")?.recordBeside(b.x);
  const read = both ? { a: both.y.scratch, b: both.y.scratch } : { a: a.x.scratch, b: b.x.scratch };
  const y = recording.tensor(x.width, x.single);
  const weights = gpu.vectors(a.weight, b.weight, weight);
  recorder.dispatch(joinedNorms, {
    params: {
      width: x.width,
      b_first: (both?.denseFirst ?? 0) / 4,
      epsilon,
      has_residual: residual ? 1 : 0,
      has_scale: scale === undefined ? 0 : 1,
    },
    buffers: {
      ...read,
      weights,
      // What is not there is not read: any buffer does that is only read.
      residual: residual?.scratch ?? read.a,
      scale: scale === undefined ? weights : gpu.vector(scale, 1),
      y: y.scratch,
    },
    parts: [gpu.variant.norm.reduce],
    constants: gpu.variant.norm.constants,
    single: x.single,
  });
  return y;
}

function recordOne(
  recording: Recording,
  { x, weight, epsilon }: Norm,
  { residual, scale }: NormOptions<GpuTensor>,
): GpuTensor {
  const { gpu, recorder } = recording;
  const { scratch } = x;
  const rest = residual?.scratch;
  const y = recording.tensor(x.width, x.single);
  const weights = gpu.vector(weight, x.width);
  const finishes = rest !== undefined || scale !== undefined;
  recorder.dispatch(rmsNorm, {
    params: {
      width: x.width,
      epsilon,
      has_residual: rest ? 1 : 0,
      has_scale: scale === undefined ? 0 : 1,
    },
    buffers: {
      x: scratch,
      weight: weights,
      // What is not there is not read: any buffer does that is only read.
      residual: rest ?? scratch,
      scale: scale === undefined ? weights : gpu.vector(scale, 1),
      y: y.scratch,
    },
    parts: [gpu.variant.norm.reduce],
    constants: { ...gpu.variant.norm.constants, FINISHES: finishes ? 1 : 0 },
    single: x.single,
  });
  return y;
}

/** `Ops.layerNorm`; it may be left to what reads it. */
export function recordLayerNorm(
  recording: Recording,
  x: GpuTensor,
  weight: string,
  bias: string,
  { epsilon, centred = true }: LayerNormOptions,
): GpuTensor {
  const { gpu, recorder } = recording;
  return lazyTensor(x, { kind: "layer-norm", x, weight, bias, epsilon, centred }, () => {
    const { scratch } = x;
    const y = recording.tensor(x.width, x.single);
    recorder.dispatch(layerNorm, {
      params: { width: x.width, epsilon, centred: centred ? 1 : 0 },
      buffers: { x: scratch, weight_bias: gpu.vectors(weight, bias), y: y.scratch },
      constants: amongStrangers(gpu.variant.norm).constants,
      single: x.single,
    });
    return y;
  });
}
