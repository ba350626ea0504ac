// score = 1 / (1 + exp(-logit)), each expert by itself. See `softmax.wgsl` for what a score
// function supplies.
fn router_score(logit: f32, max_logit: f32, sum_exp: f32) -> f32 {
  return 1.0 / (1.0 + exp(-logit));
}
