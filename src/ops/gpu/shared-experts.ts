import type { ExpertArenas, GpuMatrix } from "../gpu-resources.ts";
import type { MoeSpec } from "../ops.ts";
import { pendingOf } from "./lazy.ts";
import { gatePairOf, isWhole } from "./linear.ts";
import { areAlike, blocksFor } from "./product-input.ts";
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
  /** The weights of the norm that it reads, where those are not the experts': then it is not added to what they give. */
  readonly norm: string | undefined;
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
  return shared && isLike(recording, shared, pool) ? shared : undefined;
}

/**
 * The network that is all of `dense`, which reads what the experts read but for the weights of its norm, and whose
 * result is wanted apart. Undefined where `dense` is anything else, or where products read
 * blocks, which have one norm.
 */
export function networkBeside(
  recording: Recording,
  x: GpuTensor,
  { spec, pool }: { readonly spec: MoeSpec; readonly pool: ExpertArenas },
  dense: GpuTensor,
): SharedExperts | undefined {
  const network = networkOf(recording, spec, dense);
  const own = pendingOf(network?.x, "norm");
  const norm = pendingOf(x, "norm");
  if (!network || network.residual || !own || !norm) return undefined;
  if (own.x !== norm.x || own.epsilon !== norm.epsilon) return undefined;
  const takesNorm = !blocksFor(recording.gpu, pool.gateFormat, pool.upFormat);
  return takesNorm && isLike(recording, network, pool)
    ? { ...network, norm: own.weight }
    : undefined;
}

/** Whether one kernel may compute a network and the experts. */
function isLike(
  { gpu }: Recording,
  { gate, up, down }: SharedExperts,
  { gateFormat, upFormat, downFormat }: ExpertArenas,
): boolean {
  const units = [gateFormat, upFormat, gate.format, up.format];
  return areAlike(gpu, units) && areAlike(gpu, [downFormat, down.format]);
}

function networkOrSumOf(
  recording: Recording,
  x: GpuTensor,
  spec: MoeSpec,
  residual: GpuTensor | undefined,
): SharedExperts | undefined {
  const sum = pendingOf(residual, "sum");
  if (!sum) {
    const network = networkOf(recording, spec, residual);
    return network?.x === x ? network : undefined;
  }
  const gate = pendingOf(sum.gate, "linear");
  const network = networkOf(recording, spec, sum.b);
  const isBare = gate?.options.scale === undefined && gate?.options.residual === undefined;
  if (
    network?.x !== x ||
    network.residual ||
    !gate ||
    gate.x !== x ||
    gate.options.bias ||
    !isBare
  ) {
    return undefined;
  }
  return { ...network, weight: gate.weight, residual: sum.a };
}

/** A network of which nothing is computed, and what it reads. */
function networkOf(
  recording: Recording,
  spec: MoeSpec,
  output: GpuTensor | undefined,
): (SharedExperts & { readonly x: GpuTensor }) | undefined {
  const product = pendingOf(output, "linear");
  const unit = pendingOf(product?.x, "gated-unit");
  if (!product || !unit || product.options.bias || unit.activation !== spec.activation) {
    return undefined;
  }
  const pair = gatePairOf(recording, unit.gate, unit.up);
  const down = recording.gpu.matrix(product.weight);
  if (!pair || !isWhole(down)) return undefined;
  const { scale = 1, residual } = product.options;
  return { ...pair, down, scale, weight: undefined, norm: undefined, residual };
}
