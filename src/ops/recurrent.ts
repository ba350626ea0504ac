/** One layer's gated short convolution. */
export interface ShortConvSpec {
  readonly kind: "short-conv";
  readonly layer: number;
  /** As wide as the residual stream. */
  readonly channels: number;
  /** Inputs that an output sees, its own included. */
  readonly taps: number;
  /** A tensor `[channels, taps]`, the newest input's tap last. */
  readonly filter: string;
}

/** One layer's Mamba 2. Source: Dao & Gu, "Transformers are SSMs", arXiv 2405.21060; names of parts as in llama.cpp. */
export interface Mamba2Spec {
  readonly kind: "mamba2";
  readonly layer: number;
  readonly heads: number;
  readonly headDim: number;
  /** Heads of a group share b and c, and are normalised together. */
  readonly groups: number;
  /** Values that each dimension of a head keeps. */
  readonly stateDim: number;
  /** Inputs that an output of the convolution sees, its own included. */
  readonly taps: number;
  /** A tensor `[channels, taps]`, the newest input's tap last; channels as {@link mambaChannels} says. */
  readonly filter: string;
  /** A tensor `[channels]`. */
  readonly filterBias: string;
  /** A tensor `[heads]`, added to the time steps. */
  readonly timeBias: string;
  /** A tensor `[heads, 1]` of negative numbers: how fast a head forgets. */
  readonly decay: string;
  /** A tensor `[heads, 1]`: how much of its input passes a head by. */
  readonly skip: string;
  /** A tensor `[groups, heads * headDim / groups]`. */
  readonly norm: string;
  readonly epsilon: number;
}

/** A layer that keeps a state of fixed size in the place of keys and values. */
export type RecurrentSpec = ShortConvSpec | Mamba2Spec;

/** The state of a layer, in f32 values: what no pass may advance twice, and no prompt can cut back. */
export interface StateValues {
  /** The last inputs of its convolution `[taps - 1, channels]`, oldest first. */
  readonly inputs: number;
  /** What its scan keeps, `[heads, headDim, stateDim]`, if it has one. */
  readonly scan?: number;
}

/** How many values a layer's state has. */
export function stateValues(spec: RecurrentSpec): StateValues {
  if (spec.kind === "short-conv") return { inputs: (spec.taps - 1) * spec.channels };
  return {
    inputs: (spec.taps - 1) * mambaChannels(spec),
    scan: spec.heads * spec.headDim * spec.stateDim,
  };
}

/** Width of a Mamba layer between its projections. */
export function mambaInner({ heads, headDim }: Mamba2Spec): number {
  return heads * headDim;
}

/** Channels of a Mamba layer's convolution: its input, and b and c of each group. */
export function mambaChannels(spec: Mamba2Spec): number {
  return mambaInner(spec) + 2 * spec.groups * spec.stateDim;
}

/** Width of what a layer's first projection gives; for Mamba: gates, channels of the convolution, a time step for each head. */
export function projectedWidth(spec: RecurrentSpec): number {
  if (spec.kind === "short-conv") return 3 * spec.channels;
  return mambaInner(spec) + mambaChannels(spec) + spec.heads;
}
