// score = logit. See `softmax.wgsl` for what a score function supplies.
fn router_terms() -> vec2f {
  return vec2f(0.0);
}

fn router_score(expert: u32, terms: vec2f) -> f32 {
  return logits[expert];
}
