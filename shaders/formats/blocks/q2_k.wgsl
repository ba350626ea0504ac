// Blocks of Q2_K (../q2_k.wgsl). Needs: shared/blocks.wgsl, half_of (shared/half.wgsl).
fn block_q2_k(base: u32, count: u32, block: u32) -> WeightBlock {
  let scale_plane = base + (count >> 4u);
  let halves = weights[scale_plane + (count >> 6u) + (block >> 3u)];
  let scale_mins = weights[scale_plane + (block >> 1u)] >> (16u * (block & 1u));
  let both = vec2u(scale_mins, scale_mins >> 8u);
  let scale = half_of(halves, 0u) * vec2f(both & vec2u(15u));
  let offset = -half_of(halves, 1u) * vec2f((both >> vec2u(4u)) & vec2u(15u));
  let bytes = block_pairs(base + 2u * block);
  return WeightBlock(bytes.low, bytes.high, 0.0, scale, offset);
}
