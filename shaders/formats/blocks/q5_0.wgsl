// Blocks of Q5_0 (../q5_0.wgsl). Needs: shared/blocks.wgsl, half_at (shared/half_plane.wgsl).
fn block_q5_0(base: u32, count: u32, block: u32) -> WeightBlock {
  let high_plane = base + (count >> 3u);
  let scale = half_at(high_plane + padded_words((count >> 5u)), block);
  let low = block_nibbles(base + 4u * block);
  return scaled_block(with_high(low, block_bits(high_plane + block), 4u), 16.0, scale);
}
