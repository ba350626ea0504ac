// A chosen expert weighs exp(score - max), max over the chosen ones: with renormalise, the softmax
// over them.
fn chosen_score(rank: u32) -> f32 {
  var highest = chosen_scores[0];
  for (var other = 1u; other < params.top_k; other++) {
    highest = max(highest, chosen_scores[other]);
  }
  return exp(chosen_scores[rank] - highest);
}
