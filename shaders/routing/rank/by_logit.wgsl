// Experts are ranked by logit, which tells apart what scores in f32 do not: sigmoids of large
// logits are all 1.
//
// Every ranking supplies the same functions:
//   rank_experts(lane) makes the keys; every lane of the workgroup must call it, behind a barrier;
//   rank_key(expert) = what experts are ranked by, greatest first.
fn rank_experts(lane: u32) {}

fn rank_key(expert: u32) -> f32 {
  return logits[expert];
}
