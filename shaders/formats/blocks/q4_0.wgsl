// Blocks of Q4_0 (../q4_0.wgsl). Needs: shared/blocks.wgsl, half_at (shared/half_plane.wgsl).
fn block_q4_0(base: u32, count: u32, block: u32) -> WeightBlock {
  let scale = half_at(base + (count >> 3u), block);
  return scaled_block(block_nibbles(base + 4u * block), 8.0, scale);
}
