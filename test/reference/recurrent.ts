import {
  type Mamba2Spec,
  mambaChannels,
  mambaInner,
  type ShortConvSpec,
} from "../../src/ops/recurrent.ts";

/** What a recurrent layer has kept, in f64. */
export interface ReferenceState {
  /** Every input of its convolution so far, each `[channels]`. */
  readonly inputs: Float64Array[];
  /** What its scan keeps: `[heads, headDim, stateDim]`. */
  readonly scan: Float64Array;
}

/** The state before the first token. */
export function emptyState(scanValues: number): ReferenceState {
  return { inputs: [], scan: new Float64Array(scanValues) };
}

/** `c * conv(b * v)` of one token; x is b, c and v. x `[3 * channels]` -> `[channels]` */
export function shortConvToken(
  x: Float64Array,
  { channels, taps }: Pick<ShortConvSpec, "channels" | "taps">,
  filter: ArrayLike<number>,
  state: ReferenceState,
): Float64Array {
  const [b, c, v] = [0, 1, 2].map((part) => x.subarray(part * channels, (part + 1) * channels));
  state.inputs.push(b!.map((value, i) => value * v![i]!));
  return convolved(state.inputs, taps, filter).map((sum, i) => c![i]! * sum);
}

/** The tensors of a Mamba 2 layer. */
export interface Mamba2Weights {
  readonly filter: ArrayLike<number>;
  readonly filterBias: ArrayLike<number>;
  readonly timeBias: ArrayLike<number>;
  readonly decay: ArrayLike<number>;
  readonly skip: ArrayLike<number>;
  readonly norm: ArrayLike<number>;
}

/** `Ops.mamba2` of one token. x `[projectedWidth]` -> `[heads * headDim]` */
export function mamba2Token(
  x: Float64Array,
  spec: Mamba2Spec,
  weights: Mamba2Weights,
  state: ReferenceState,
): Float64Array {
  const inner = mambaInner(spec);
  const channels = mambaChannels(spec);
  state.inputs.push(x.slice(inner, inner + channels));
  const sums = convolved(state.inputs, spec.taps, weights.filter);
  const activated = sums.map((sum, i) => silu(sum + weights.filterBias[i]!));
  const y = scanned(activated, x.subarray(inner + channels), spec, weights, state.scan);
  const gated = y.map((value, i) => value * silu(x[i]!));
  return groupNormed(gated, spec, weights.norm);
}

/** Each channel's filter over its last `taps` inputs; those before the first are 0. */
function convolved(
  inputs: readonly Float64Array[],
  taps: number,
  filter: ArrayLike<number>,
): Float64Array {
  return inputs.at(-1)!.map((_, channel) => {
    let sum = 0;
    for (let k = 0; k < taps; k++) {
      const input = inputs[inputs.length - taps + k]?.[channel] ?? 0;
      sum += filter[channel * taps + k]! * input;
    }
    return sum;
  });
}

/** One step of the scan; advances `state`. activated: u `[heads, headDim]`, b and c `[groups, stateDim]` */
function scanned(
  activated: Float64Array,
  times: Float64Array,
  { heads, headDim, groups, stateDim }: Mamba2Spec,
  { timeBias, decay, skip }: Mamba2Weights,
  state: Float64Array,
): Float64Array {
  const inner = heads * headDim;
  const y = new Float64Array(inner);
  for (let row = 0; row < inner; row++) {
    const head = Math.floor(row / headDim);
    const b = inner + Math.floor(head / (heads / groups)) * stateDim;
    const c = b + groups * stateDim;
    const dt = softplus(times[head]! + timeBias[head]!);
    const u = activated[row]!;
    y[row] = skip[head]! * u;
    for (let i = 0; i < stateDim; i++) {
      const at = row * stateDim + i;
      state[at] = Math.exp(dt * decay[head]!) * state[at]! + dt * u * activated[b + i]!;
      y[row]! += state[at]! * activated[c + i]!;
    }
  }
  return y;
}

function groupNormed(
  x: Float64Array,
  { groups, epsilon }: Mamba2Spec,
  weight: ArrayLike<number>,
): Float64Array {
  const width = x.length / groups;
  return x.map((value, i) => {
    const first = i - (i % width);
    const squares = x.subarray(first, first + width).reduce((sum, each) => sum + each * each, 0);
    return (value / Math.sqrt(squares / width + epsilon)) * weight[i]!;
  });
}

/** `log(1 + exp(x))` */
export function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}
