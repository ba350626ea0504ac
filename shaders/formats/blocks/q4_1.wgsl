// Blocks of Q4_1 (../q4_1.wgsl). Needs: shared/blocks.wgsl, half_of (shared/half.wgsl).
fn block_q4_1(base: u32, count: u32, block: u32) -> WeightBlock {
  let halves = weights[base + (count >> 3u) + block];
  let bytes = block_nibbles(base + 4u * block);
  return shifted_block(bytes, half_of(halves, 0u), half_of(halves, 1u));
}
