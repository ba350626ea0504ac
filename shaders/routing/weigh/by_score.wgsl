// A chosen expert weighs by its score.
fn chosen_score(rank: u32) -> f32 {
  return chosen_scores[rank];
}
