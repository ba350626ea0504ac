import type { ParamValues } from "../../gpu/kernel.ts";
import type { mergeParams } from "../../kernels/attention_merge.ts";
import type { ActivationName, HeadLinearOptions, LinearOptions } from "../ops.ts";
import type { Bound, Scratch } from "../program.ts";
import type { GpuTensor } from "./recording.ts";

/**
 * What a tensor is made of that nobody has computed yet. An op that reads it may compute it on the way, in a dispatch of
 * its own work; any other makes it be recorded, when it asks for the tensor's buffer.
 */
export type Pending =
  | PendingNorm
  | PendingNormSum
  | PendingLayerNorm
  | PendingLinear
  | PendingHeadLinear
  | PendingSpans
  | PendingGatedUnit
  | PendingSum
  | PendingExperts;

/** The RMS norm of x, and nothing else. */
export interface PendingNorm {
  readonly kind: "norm";
  readonly x: GpuTensor;
  readonly weight: string;
  readonly epsilon: number;
}

/** The RMS norm of x, and a residual. */
export interface PendingNormSum extends Omit<PendingNorm, "kind"> {
  readonly kind: "norm-sum";
  readonly residual: GpuTensor;
}

/** The layer norm of x. */
export interface PendingLayerNorm extends Omit<PendingNorm, "kind"> {
  readonly kind: "layer-norm";
  readonly bias: string;
  readonly centred: boolean;
}

/** `scale * (weight x + bias) + residual` */
export interface PendingLinear {
  readonly kind: "linear";
  readonly x: GpuTensor;
  readonly weight: string;
  readonly options: LinearOptions<GpuTensor>;
}

/** A product for each head: see `Ops.headLinear`. */
export interface PendingHeadLinear {
  readonly kind: "head-linear";
  readonly x: GpuTensor;
  readonly weight: string;
  readonly options: HeadLinearOptions;
}

/** What a split attention leaves to be merged: see `shaders/attention/merge.wgsl`. */
export interface PendingSpans {
  readonly kind: "spans";
  readonly parts: Scratch;
  readonly sinks: Bound;
  readonly params: ParamValues<typeof mergeParams>;
}

/** `gated(gate, up)` */
export interface PendingGatedUnit {
  readonly kind: "gated-unit";
  readonly gate: GpuTensor;
  readonly up: GpuTensor;
  readonly activation: ActivationName;
}

/** `a + sigmoid(gate) * b` */
export interface PendingSum {
  readonly kind: "sum";
  readonly a: GpuTensor;
  readonly b: GpuTensor;
  readonly gate: GpuTensor;
}

/** What a layer's experts give, with nothing added. */
export interface PendingExperts {
  readonly kind: "experts";
  /**
   * Records them together with `dense`, if a dispatch may compute both: what the experts give and, from number
   * `denseFirst` of the same buffer on, what the other is.
   */
  recordBeside(
    dense: GpuTensor,
  ): { readonly y: GpuTensor; readonly denseFirst: number } | undefined;
}

/**
 * A tensor that is recorded when its buffer is first asked for. What an op reads is recorded before the op's own
 * dispatch, so an op asks for all of it before it notes where it stands.
 */
export function lazyTensor(
  shape: { readonly width: number; readonly single: boolean },
  pending: Pending,
  record: () => GpuTensor,
): GpuTensor {
  let made: GpuTensor | undefined;
  return {
    width: shape.width,
    single: shape.single,
    get pending(): Pending | undefined {
      return made ? undefined : pending;
    },
    get scratch(): Scratch {
      made ??= record();
      return made.scratch;
    },
    settle(tensor: GpuTensor): void {
      made = tensor;
    },
  };
}

/** What `tensor` is made of, if it is of that kind and not computed yet. */
export function pendingOf<Kind extends Pending["kind"]>(
  tensor: GpuTensor | undefined,
  kind: Kind,
): Extract<Pending, { kind: Kind }> | undefined {
  const pending = tensor?.pending;
  return pending?.kind === kind ? (pending as Extract<Pending, { kind: Kind }>) : undefined;
}
