import type { ExpertArenas, GpuMatrix } from "../gpu-resources.ts";
import type { MoeSpec } from "../ops.ts";
import { pendingOf } from "./lazy.ts";
import { gatePairOf, isWhole } from "./linear.ts";
import { areAlike } from "./product-input.ts";
import type { GpuTensor, Recording } from "./recording.ts";

/** A dense network of the experts' input that is added to what they give, so that their kernels may compute it. */
export interface SharedExperts {
  readonly gate: GpuMatrix;
  readonly up: GpuMatrix;
  readonly down: GpuMatrix;
  /** What it counts. */
  readonly scale: number;
  /** A vector `[hidden]`: it counts by the sigmoid of its product with the input, besides. */
  readonly weight: string | undefined;
  /** What is added to both. */
  readonly residual: GpuTensor | undefined;
}

/**
 * The shared experts in `residual`: `down(gatedUnit(gate(x), up(x)))`, plain or in a gated sum, of which nothing is
 * computed yet. Undefined where it is anything else, or where some of its products are those of integers and some of the
 * other experts' are not.
 */
export function sharedExpertsOf(
  recording: Recording,
  x: GpuTensor,
  { spec, pool }: { readonly spec: MoeSpec; readonly pool: ExpertArenas },
  residual: GpuTensor | undefined,
): SharedExperts | undefined {
  const shared = networkOrSumOf(recording, x, spec, residual);
  if (!shared) return undefined;
  const { gate, up, down } = shared;
  const units = [pool.gateFormat, pool.upFormat, gate.format, up.format];
  const fits =
    areAlike(recording.gpu, units) && areAlike(recording.gpu, [pool.downFormat, down.format]);
  return fits ? shared : undefined;
}

function networkOrSumOf(
  recording: Recording,
  x: GpuTensor,
  spec: MoeSpec,
  residual: GpuTensor | undefined,
): SharedExperts | undefined {
  const sum = pendingOf(residual, "sum");
  if (!sum) return networkOf(recording, x, spec, residual);
  const gate = pendingOf(sum.gate, "linear");
  const network = networkOf(recording, x, spec, sum.b);
  const isBare = gate?.options.scale === undefined && gate?.options.residual === undefined;
  if (!network || network.residual || !gate || gate.x !== x || gate.options.bias || !isBare) {
    return undefined;
  }
  return { ...network, weight: gate.weight, residual: sum.a };
}

function networkOf(
  recording: Recording,
  x: GpuTensor,
  spec: MoeSpec,
  output: GpuTensor | undefined,
): SharedExperts | undefined {
  const product = pendingOf(output, "linear");
  const unit = pendingOf(product?.x, "gated-unit");
  if (!product || !unit || product.options.bias || unit.activation !== spec.activation) {
    return undefined;
  }
  const pair = gatePairOf(recording, unit.gate, unit.up);
  const down = recording.gpu.matrix(product.weight);
  if (pair?.x !== x || !isWhole(down)) return undefined;
  const { scale = 1, residual } = product.options;
  return { gate: pair.gate, up: pair.up, down, scale, weight: undefined, residual };
}
