// score = 1 / (1 + exp(-logit)), each expert by itself. See `softmax.wgsl` for what a score
// function supplies.
fn router_terms() -> vec2f {
  return vec2f(0.0);
}

fn router_score(expert: u32, terms: vec2f) -> f32 {
  return 1.0 / (1.0 + exp(-logits[expert]));
}
