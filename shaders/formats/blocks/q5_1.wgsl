// Blocks of Q5_1 (../q5_1.wgsl). Needs: shared/blocks.wgsl, half_of (shared/half.wgsl).
fn block_q5_1(base: u32, count: u32, block: u32) -> WeightBlock {
  let high_plane = base + (count >> 3u);
  let halves = weights[high_plane + padded_words((count >> 5u)) + block];
  let low = block_nibbles(base + 4u * block);
  let bytes = with_high(low, block_bits(high_plane + block), 4u);
  return shifted_block(bytes, half_of(halves, 0u), half_of(halves, 1u));
}
