// Blocks of TQ2_0 (../tq2_0.wgsl). Needs: shared/blocks.wgsl, half_at (shared/half_plane.wgsl).
fn block_tq2_0(base: u32, count: u32, block: u32) -> WeightBlock {
  let d = half_at(base + (count >> 4u), (block >> 3u));
  return scaled_block(block_pairs(base + 2u * block), 1.0, d);
}
