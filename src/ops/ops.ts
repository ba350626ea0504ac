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
  /**
   * `(norm + residual) * scale`, where `norm = x / sqrt(mean(x²) + epsilon) * weight`, over each token's row.
   * weight `[width]`
   */
  rmsNorm(x: Tensor, weight: string, epsilon: number, options?: NormOptions<Tensor>): Tensor;
  /**
   * `(x - mean) / sqrt(variance + epsilon) * weight + bias`, over each token's row, or where it is not `centred` (it is
   * by default) an RMS norm with a bias: mean 0, and the variance from it. weight and bias `[width]`
   */
  layerNorm(x: Tensor, weight: string, bias: string, options: LayerNormOptions): Tensor;
  /** a and behind it b. a `[tokens, any]`, b `[tokens, any]` -> `[tokens, a.width + b.width]` */
  concat(a: Tensor, b: Tensor): Tensor;
  /** `a + b`, or `a + sigmoid(gate) * b`. a and b `[tokens, width]`, gate `[tokens, 1]` */
  add(a: Tensor, b: Tensor, options?: { gate?: Tensor }): Tensor;
  /** `scale * (x Wᵀ + bias) + residual`. weight `[rows, cols]`, x `[tokens, cols]` -> `[tokens, rows]` */
  linear(x: Tensor, weight: string, options?: LinearOptions<Tensor>): Tensor;
  /**
   * Causal grouped-query attention with a cache: q and k are normalised (if the spec says so) and rotated, k and v are
   * appended to layer `spec.layer`'s cache, then every query attends to the keys up to its own position that its window
   * holds. q `[tokens, heads * headDim]`, k `[tokens, kvHeads * headDim]`, v `[tokens, kvHeads * valueDim]` ->
   * `[tokens, heads * valueDim]`. Where the spec has `fused`, all three are the one tensor in which they stand side by
   * side; where it has `valuesInKeys`, v is not read, and k may stand in its place.
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
   * A product for each head with a matrix of its own: `y_h = W_h x_h`, of some rows of W_h, or `W_hᵀ x_h`. weight
   * `[heads, rows, cols]`, or the same as one matrix `[heads * rows, cols]`. x `[tokens, heads * any]`: a head takes
   * what it needs from the start of its share. -> `[tokens, heads * rows]`, or transposed `[tokens, heads * cols]`
   */
  headLinear(x: Tensor, weight: string, options: HeadLinearOptions): Tensor;
  /**
   * Causal attention of all heads over one cached row a token (multi-head latent attention): the first `valueDim`
   * numbers of kv, normalised, which are the values too, and the others, rotated. A query is `absorbed` and then the
   * last `rope.dims` of its head of q, rotated. q `[tokens, heads * any]`, absorbed `[tokens, heads * valueDim]`, kv
   * `[tokens, headDim]` -> `[tokens, heads * valueDim]`
   */
  latentAttention(inputs: LatentInputs<Tensor>, spec: LatentAttentionSpec): Tensor;
  /** `cap * tanh(x / cap)`, elementwise: nothing is beyond ±cap. */
  softcap(x: Tensor, cap: number): Tensor;
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
  experts(x: Tensor, choice: Choice, spec: MoeSpec, options?: { residual?: Tensor }): Tensor;
  /** The row of the pass's last token. -> `[1, width]` */
  lastToken(x: Tensor): Tensor;
  /** Ends the pass: `x` `[1, vocab]` are the logits of the next token. */
  logits(x: Tensor): void;
}

/** What decides a layer norm. */
export interface LayerNormOptions {
  readonly epsilon: number;
  readonly centred?: boolean;
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

/** What is done to a normalised row besides. */
export interface NormOptions<Tensor> {
  /** `[tokens, width]` */
  readonly residual?: Tensor;
  /** A vector `[1]`. */
  readonly scale?: string;
}

/** Which part of each head's matrix a product takes. */
export interface HeadLinearOptions {
  readonly heads: number;
  /** Rows of a head's matrix, from `first` on; all of them when absent. */
  readonly rows?: { readonly first: number; readonly count: number };
  /** Multiplies with the transposed rows. */
  readonly transposed?: boolean;
}

/** What {@link Ops.latentAttention} reads. */
export interface LatentInputs<Tensor> {
  readonly q: Tensor;
  readonly absorbed: Tensor;
  readonly kv: Tensor;
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
  /** Size of a head of queries and keys; a multiple of 4. */
  readonly headDim: number;
  /** Size of a head of values, and of the result's; a multiple of 4 up to 512. `headDim` when absent. */
  readonly valueDim?: number;
  /** A head's values are the first `valueDim` numbers of its keys, as they are cached (MLA): no others are kept. */
  readonly valuesInKeys?: boolean;
  /** Multiplies q·k; usually `1 / sqrt(headDim)`. */
  readonly scale: number;
  /** Scores become `softcap * tanh(score / softcap)`, after `scale`. */
  readonly softcap?: number;
  /** A vector `[heads]`: what each head attends to besides, a score with no value (attention sinks). */
  readonly sinks?: string;
  /** Undefined: no positions (NoPE). */
  readonly rope?: RopeSpec;
  /** A query sees at most this many keys, itself included, and no more are kept. Undefined: all. */
  readonly window?: number;
  /** There is no `attn_v`: keys, before their norm and rotation, are the values, too. */
  readonly keysAreValues?: boolean;
  /** For `latentAttention` alone: the norm of the first `valueDim` numbers of a cached row, which are the values. */
  readonly latent?: { readonly norm: string; readonly epsilon: number };
  /** RMS norm of q and k before the rotation: over each head (`[headDim]`) or over all heads at once (`[width]`). */
  readonly norm?: {
    readonly over: "head" | "all-heads";
    readonly q: string;
    readonly k: string;
    /** v is normalised over each head, too, without weights. */
    readonly ofValues?: boolean;
    readonly epsilon: number;
  };
  /** The matrix that makes queries, keys and values at once, where the file has them fused. Undefined: one for each. */
  readonly fused?: string;
  /** Vectors that are added to what matrices make: `fused` is that of the fused one. */
  readonly biases?: {
    readonly q?: string;
    readonly k?: string;
    readonly v?: string;
    readonly fused?: string;
    readonly output?: string;
  };
}

/** The attention of a layer with one cached row a token: one KV head, with `valuesInKeys`. */
export type LatentAttentionSpec = AttentionSpec &
  Required<Pick<AttentionSpec, "latent" | "rope" | "valueDim">>;

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
  /** Multiplies the logits, their bias included; 1 when absent. */
  readonly logitScale?: number;
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
