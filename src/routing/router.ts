/**
 * How a router turns its logits into scores. A score must grow with its logit: experts are ranked by logit, so that
 * f32 on the GPU and f64 in the reference choose the same ones even where scores round to the same number.
 */
export interface ScoreFunction {
  readonly name: string;
  /** WGSL with `fn router_score(logit: f32, max_logit: f32, sum_exp: f32) -> f32`. See `shaders/routing/softmax.wgsl`. */
  readonly source: string;
  /** The score of each expert of a layer, in f64: the reference of the shader. logits `[experts]` -> `[experts]` */
  scores(logits: Float64Array): Float64Array;
}
