/** What a router reads, and so how early it can be known what it chooses. `token`: the id alone (hash routing). */
export type KnownRouterInput = "pre-attention" | "previous-layer" | "decoupled" | "token";

/** Every router input that a model can have; after attention nothing is known ahead. */
export type RouterInput = KnownRouterInput | "post-attention";

/** Says what the router itself will say, because the model's routers read something that is there early. */
export interface ExactPredictor {
  readonly kind: "exact";
  /** The router input with which it knows. */
  readonly routerInput: KnownRouterInput;
}

/** Says what will probably be wanted. Off unless asked for: see `PrefetchGauge` in `src/scheduler`. */
export interface GuessingPredictor {
  readonly kind: "guess";
  /** When it guesses: before a token's pass for all of its layers, or within a pass for the next layer. */
  readonly lead: "token" | "layer";
  /** It needs the next layer's router, read on the current layer's state: the GPU must compute that. */
  readonly needsGpuGuesses: boolean;
  /** A guesser that has seen nothing. */
  create(shape: RoutingShape): Guesser;
}

/** Who says which experts will be wanted. */
export type Predictor = ExactPredictor | GuessingPredictor;

/** What a guesser must know of a model. */
export interface RoutingShape {
  /** The pool of each MoE layer, in order. */
  readonly pools: readonly number[];
  /** Experts of a pool. */
  readonly experts: number;
  readonly topK: number;
}

/** One expert that a MoE layer may choose. `moe` counts MoE layers from 0. */
export interface ExpertGuess {
  readonly moe: number;
  readonly expert: number;
  /** From 0 to 1, estimated from how often guesses like it were right. */
  readonly probability: number;
}

/**
 * A predictor at work on one model. Deterministic: the same calls in the same order give the same guesses. Guesses of
 * one call are distinct and come most probable first.
 */
export interface Guesser {
  /**
   * A pass was computed to its end.
   *
   * @param tokens the pass's token ids
   * @param ids for each MoE layer its chosen experts `[tokens, topK]`, best score first
   */
  observe(tokens: ArrayLike<number>, ids: readonly ArrayLike<number>[]): void;
  /** What the pass of one token will want; nothing unless the lead is "token". Changes nothing. */
  beforePass(token: number): readonly ExpertGuess[];
  /**
   * What MoE layer `moe` of a pass of one token will want; nothing unless the lead is "layer". To be asked at most once
   * a layer and pass, in order.
   *
   * @param ids what the layers before it chose in this pass `[topK]`, undefined where that is not known
   * @param gpuGuess what its router chose on an earlier state `[topK]`, best score first
   */
  beforeLayer(
    moe: number,
    ids: readonly (ArrayLike<number> | undefined)[],
    gpuGuess?: ArrayLike<number>,
  ): readonly ExpertGuess[];
}
