// score = 1 / sum of exp(other - logit) over the experts that rank no higher and whose logit is at
// most 0.02 * max(abs(other), logit) below: of experts chosen one after another, each one's softmax
// over those left that come near it. See `softmax.wgsl` for what a score function supplies.
// Source: arXiv 2409.12136; sparsemixer of Phi-3.5-MoE, with its jitter of 0.01.
const MAX_SHORTFALL = 0.02;

fn router_terms() -> vec2f {
  return vec2f(0.0);
}

fn router_score(expert: u32, terms: vec2f) -> f32 {
  let own = logits[expert];
  var sum = 0.0;
  for (var other = 0u; other < params.experts; other++) {
    let logit = logits[other];
    let was_chosen = logit > own || (logit == own && other < expert);
    let is_rival = own - logit <= MAX_SHORTFALL * max(abs(logit), own);
    sum += select(0.0, exp(logit - own), is_rival && !was_chosen);
  }
  return 1.0 / sum;
}
