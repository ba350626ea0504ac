// The lanes of a workgroup share the sums of its heads. See none.wgsl.
// Needs: own_head, INVOCATIONS (the kernel), squares.wgsl, shaders/rope/heads.wgsl.
var<workgroup> head_norms: array<f32, MOST_HEADS>;

fn find_norms(group: vec3u, count: u32, lane: u32) {
  for (var i = lane; i < count * SUMS; i += INVOCATIONS) {
    let head = own_head(group, i / SUMS);
    if (is_normed(head.part)) {
      squares[i] = sum_of_squares(head, i % SUMS);
    }
  }
  workgroupBarrier();
  for (var index = lane; index < count; index += INVOCATIONS) {
    let part = own_head(group, index).part;
    if (is_normed(part)) {
      head_norms[index] = norm_from(part, total_of_squares(index * SUMS));
    } else {
      head_norms[index] = 1.0;
    }
  }
  workgroupBarrier();
}

fn norm_of(group: vec3u, index: u32) -> f32 {
  return head_norms[index];
}
