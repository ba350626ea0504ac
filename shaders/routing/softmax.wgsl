// score = exp(logit - max) / sum of exp(logit - max): the softmax over all experts of a layer.
//
// Every score function supplies the same functions, over `logits` and `params.experts` of the
// router, and reads logits behind a barrier:
//   router_terms() = what the scores of a token's experts have in common, computed once a lane;
//   router_score(expert, terms) = the score of an expert;
//   chosen_score(rank) = what the expert chosen as number `rank` weighs before it is renormalised
//   and scaled, once all scores of the chosen are in `chosen_scores` (shaders/routing/weigh).
fn router_terms() -> vec2f {
  var highest = logits[0];
  for (var expert = 1u; expert < params.experts; expert++) {
    highest = max(highest, logits[expert]);
  }
  var sum = 0.0;
  for (var expert = 0u; expert < params.experts; expert++) {
    sum += exp(logits[expert] - highest);
  }
  return vec2f(highest, sum);
}

fn router_score(expert: u32, terms: vec2f) -> f32 {
  return exp(logits[expert] - terms.x) / terms.y;
}
