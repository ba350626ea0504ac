// Half `index` of the plane that starts at word `plane`, two a word.
// Needs: weights (shared/weights.wgsl), half_of (shared/half.wgsl).
fn half_at(plane: u32, index: u32) -> f32 {
  return half_of(weights[plane + (index >> 1u)], index);
}
