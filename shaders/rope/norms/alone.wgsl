// Each lane finds the norm for itself, for adapters where a barrier costs more than the sum; the
// kernel asks for it once. See none.wgsl.
// Needs: own_head (the kernel), shaders/rope/heads.wgsl.
fn find_norms(group: vec3u, count: u32, lane: u32) {
}

fn norm_of(group: vec3u, index: u32) -> f32 {
  let head = own_head(group, index);
  if (!is_normed(head.part)) {
    return 1.0;
  }
  var total = 0.0;
  for (var sum = 0u; sum < min(SUMS, norm_width(head.part) / 4u); sum++) {
    total += sum_of_squares(head, sum);
  }
  return norm_from(head.part, total);
}
