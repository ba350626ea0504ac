import type { Mamba2Spec, ShortConvSpec } from "./recurrent.ts";

/**
 * The operations that a model is written with. A model's forward pass calls them once, in order; what a call does is
 * the interpreter's: `gpu-ops` records dispatches to be encoded for every token, the reference of the tests computes
 * in f64 at once. Nothing here awaits: routing, sampling and the next token's embedding stay on the device.
 *
 * Every activation is `[tokens, width]` f32, row-major, where `tokens` is the number of tokens in the current pass (a
 * prefill chunk, or 1). Weights are named by their tensor in the model file; a matrix is `[rows, cols]`.
 * Every op checks shapes and throws "shape-mismatch" naming the tensor.
 */
export interface Ops<Tensor extends Activation = Activation, Choice extends Routing = Routing> {
  /** The rows of `table` `[vocab, hidden]` of the pass's token ids, times `scale` (1). -> `[tokens, hidden]` */
  embed(table: string, options?: { scale?: number }): Tensor;
  /** `x / sqrt(mean(x²) + epsilon) * weight`, over each token's row. weight `[width]` */
  rmsNorm(x: Tensor, weight: string, epsilon: number): Tensor;
  /** `scale * (x Wᵀ + bias) + residual`. weight `[rows, cols]`, x `[tokens, cols]` -> `[tokens, rows]` */
  linear(x: Tensor, weight: string, options?: LinearOptions<Tensor>): Tensor;
  /**
   * Causal grouped-query attention with a cache: q and k are normalised (if the spec says so) and rotated, k and v are
   * appended to layer `spec.layer`'s cache, then every query attends to all keys up to its own position.
   * q `[tokens, heads * headDim]`, k and v `[tokens, kvHeads * headDim]` -> `[tokens, heads * headDim]`
   */
  attention(q: Tensor, k: Tensor, v: Tensor, spec: AttentionSpec): Tensor;
  /**
   * `c * conv(b * v)`, where x is b, c and v side by side, and `conv(u)[t]` is, for each channel by itself,
   * `Σ_k filter[k] · u[t - taps + 1 + k]`. The inputs before the pass are the state of layer `spec.layer`: zeros at
   * position 0, and advanced to the end of the pass. x `[tokens, 3 * channels]` -> `[tokens, channels]`
   */
  shortConv(x: Tensor, spec: ShortConvSpec): Tensor;
  /**
   * Mamba 2 between its projections. x is `[tokens, projectedWidth(spec)]`: gates z `[heads * headDim]`, then what is
   * convolved as in `shortConv` and activated, `silu(conv + bias)`, to u `[heads, headDim]`, b and c
   * `[groups, stateDim]`, then time steps `[heads]`. For each head, token after token, with its group's b and c:
   * `dt = softplus(step + timeBias)`, `state = exp(dt · decay) · state + dt · u ⊗ b`, `y = state · c + skip · u`.
   * -> `y · silu(z)`, normalised over each group, times `norm`: `[tokens, heads * headDim]`.
   * Both states are layer `spec.layer`'s: zeros at position 0, and advanced to the end of the pass.
   */
  mamba2(x: Tensor, spec: Mamba2Spec): Tensor;
  /**
   * The gated unit of an activation, elementwise: `act(gate) * up`, or for `swiglu-oai`
   * `x * sigmoid(1.702 x) * (y + 1)` with x = min(gate, 7) and y = up within [-7, 7].
   */
  gatedUnit(gate: Tensor, up: Tensor, activation: ActivationName): Tensor;
  /** Chooses `spec.topK` experts for each token and their weights. x `[tokens, hidden]` */
  route(x: Tensor, spec: MoeSpec): Choice;
  /**
   * The experts that `spec.router`, a table `[vocab, topK]`, has for each of the pass's token ids; each counts
   * `spec.scale / topK`. For router input `token`.
   */
  routeByToken(spec: MoeSpec): Choice;
  /**
   * `residual + Σ_k weight_k · expert_k(x)`, summed in the router's order (best score first), where
   * `expert(x) = down · gatedUnit(gate · x, up · x)`, each product plus its bias if it has one. x `[tokens, hidden]`
   */
  experts(x: Tensor, choice: Choice, spec: MoeSpec, options: { residual: Tensor }): Tensor;
  /** The row of the pass's last token. -> `[1, width]` */
  lastToken(x: Tensor): Tensor;
  /** Ends the pass: `x` `[1, vocab]` are the logits of the next token. */
  logits(x: Tensor): void;
}

/** What is done to a product besides. */
export interface LinearOptions<Tensor> {
  /** A vector `[rows]`. */
  readonly bias?: string;
  /** 1 when absent. */
  readonly scale?: number;
  /** `[tokens, rows]` */
  readonly residual?: Tensor;
}

/** What an op returns: `[tokens, width]` or, after `lastToken`, `[1, width]`. */
export interface Activation {
  readonly width: number;
}

/** What `route` and `routeByToken` return: for each token `topK` expert ids and weights, best score first. */
export interface Routing {
  readonly topK: number;
}

/** Activation functions, by name: a part in `shaders/act` for each. */
export type ActivationName = "silu" | "relu" | "gelu" | "swiglu-oai";

/** Score functions of routers, by name: a part in `shaders/routing` for each. */
export type ScoreName =
  | "softmax"
  | "sigmoid"
  | "sqrt-softplus"
  | "softmax-after-top-k"
  | "sparsemixer";

/** Rotary position embedding of `dims` dimensions of a head; the others stay as they are. */
export interface RopeSpec {
  /** How many dimensions are rotated; even, and at most the head's. */
  readonly dims: number;
  /** The first of them; 0 when absent. */
  readonly first?: number;
  readonly base: number;
  /** `half-split` pairs dimension i with i + dims / 2 (NEOX); `interleaved` pairs 2i with 2i + 1. Both count from `first`. */
  readonly pairing: "half-split" | "interleaved";
  /** Positions are divided by this (linear scaling, and the interpolated pairs of YaRN); 1 when absent. */
  readonly scale?: number;
  /** Leaves fast pairs unscaled. Undefined: `scale` is for all pairs. */
  readonly yarn?: YarnSpec;
  /** Multiplies cosines and sines, so q·k by its square (YaRN's and LongRoPE's attention factor); 1 when absent. */
  readonly magnitude?: number;
  /** A tensor `[dims / 2]` that divides the frequencies (Llama 3's `rope_freqs.weight`, LongRoPE's short factors). */
  readonly factors?: string;
  /** LongRoPE: the tensor in the place of `factors` where the context is longer than `beyondTokens`. */
  readonly longFactors?: { readonly tensor: string; readonly beyondTokens: number };
}

/**
 * Which pairs keep their frequencies and which are interpolated, by how often they turn in the original context.
 * Source: Peng et al., "YaRN", arXiv 2309.00071, as llama.cpp rounds its bounds.
 */
export interface YarnSpec {
  readonly originalTokens: number;
  /** How much of their own frequency fast pairs keep: 1 in published models. */
  readonly extrapolation: number;
  /** Pairs that turn more often than this keep their frequency. */
  readonly betaFast: number;
  /** Pairs that turn less often are divided by `scale`; those between by a ramp. */
  readonly betaSlow: number;
}

/** One layer's attention. */
export interface AttentionSpec {
  readonly layer: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Multiplies q·k; usually `1 / sqrt(headDim)`. */
  readonly scale: number;
  /** Undefined: no positions (NoPE). */
  readonly rope?: RopeSpec;
  /** A query sees at most this many keys, itself included. Undefined: all. */
  readonly window?: number;
  /** RMS norm of q and k before the rotation: over each head (`[headDim]`) or over all heads at once (`[width]`). */
  readonly norm?: {
    readonly over: "head" | "all-heads";
    readonly q: string;
    readonly k: string;
    readonly epsilon: number;
  };
}

/**
 * What a router reads, and so how early its choice is known: what the experts read (`post-attention`), the raw residual
 * before attention (`pre-attention`), what the experts of the layer before read (`previous-layer`), a network of its
 * own beside the model, which decides for all layers at once (`decoupled`), or the token's id and nothing else (`token`).
 */
export type RouterInput =
  | "post-attention"
  | "pre-attention"
  | "previous-layer"
  | "decoupled"
  | "token";

/** One MoE layer as data (DESIGN section 6). */
export interface MoeSpec {
  readonly layer: number;
  /** Whose experts: usually the layer's own. Pools are numbered from 0 without gaps. */
  readonly pool: number;
  readonly experts: number;
  readonly topK: number;
  readonly hidden: number;
  /** Width of one expert. */
  readonly ffn: number;
  readonly routerInput: RouterInput;
  /** Router matrix `[experts, hidden]`; for router input `token` the table `[vocab, topK]` of expert ids. */
  readonly router: string;
  /** A vector `[experts]` that is added to the logits. */
  readonly routerBias?: string;
  readonly score: ScoreName;
  /** A vector `[experts]` that is added to the scores for the choice alone: see `rankingKeys`. */
  readonly selectionBias?: string;
  /** Experts are chosen from the `keep` best of `count` groups of neighbours: see `rankingKeys`. */
  readonly groups?: { readonly count: number; readonly keep: number };
  /** Divides the chosen scores by `max(their sum, 2⁻¹⁴)`. */
  readonly renormalise: boolean;
  /** Multiplies the weights after that. */
  readonly scale: number;
  /** A vector `[experts]` that multiplies the weight of each chosen expert, too. */
  readonly expertScale?: string;
  readonly activation: ActivationName;
  /** Expert matrices: gate and up `[experts, ffn, hidden]`, down `[experts, hidden, ffn]`. */
  readonly gate: string;
  readonly up: string;
  readonly down: string;
  /** Biases of the products, in f32: of gate and up `[experts, ffn]`, of down `[experts, hidden]`. */
  readonly gateBias?: string;
  readonly upBias?: string;
  readonly downBias?: string;
}
