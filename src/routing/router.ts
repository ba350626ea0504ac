/** How a router turns its logits into the scores of experts. */
export interface ScoreFunction {
  readonly name: string;
  /**
   * WGSL that supplies `router_terms`, `router_score` and `chosen_score`. See `shaders/routing/softmax.wgsl`.
   */
  readonly parts: readonly string[];
  /**
   * A score never falls where its logit grows. Without it, nothing can be added to a score before experts are ranked:
   * neither a selection bias nor a choice of groups goes with it.
   */
  readonly growsWithLogit: boolean;
  /** The scores of the experts of a layer, in f64: the reference of the shader. logits `[experts]` -> `[experts]` */
  scores(logits: Float64Array): Float64Array;
  /**
   * Undefined: a chosen expert weighs by its score. Otherwise its weights come from the scores of the chosen ones alone,
   * add up to 1, and renormalising changes nothing. scores `[topK]` -> `[topK]`
   */
  weigh?(scores: readonly number[]): number[];
}
