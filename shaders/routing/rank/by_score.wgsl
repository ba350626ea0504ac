// Experts are ranked by score plus selection bias. With groups, which are runs of experts, only
// those of the groups_kept best groups count; a group is worth its two best keys together, and ties
// go to the lower group. See `by_logit.wgsl` for what a ranking supplies.
// Needs: router_terms and router_score (shaders/routing), expert_vector (shaders/moe/router.wgsl).
// Below any key.
const LOWEST = -3.4e38;

var<workgroup> keys: array<f32, EXPERTS>;
var<workgroup> group_worth: array<f32, EXPERTS>;

fn rank_experts(lane: u32) {
  let terms = router_terms();
  for (var expert = lane; expert < params.experts; expert += LANES) {
    keys[expert] = router_score(expert, terms) +
      expert_vector(params.selection_bias, expert, 0.0);
  }
  workgroupBarrier();
  if (params.groups > 1u) {
    keep_best_groups(lane);
  }
}

fn rank_key(expert: u32) -> f32 {
  return keys[expert];
}

fn keep_best_groups(lane: u32) {
  let size = params.experts / params.groups;
  for (var group = lane; group < params.groups; group += LANES) {
    var best = vec2f(LOWEST);
    for (var expert = group * size; expert < (group + 1u) * size; expert++) {
      let key = keys[expert];
      best = select(vec2f(best.x, max(best.y, key)), vec2f(key, best.x), key > best.x);
    }
    group_worth[group] = best.x + best.y;
  }
  workgroupBarrier();
  for (var expert = lane; expert < params.experts; expert += LANES) {
    let group = expert / size;
    var before = 0u;
    for (var other = 0u; other < params.groups; other++) {
      let is_better = group_worth[other] > group_worth[group] ||
        (group_worth[other] == group_worth[group] && other < group);
      before += select(0u, 1u, is_better);
    }
    if (before >= params.groups_kept) {
      keys[expert] = LOWEST;
    }
  }
  workgroupBarrier();
}
