// Blocks of Q4_K (../q4_k.wgsl). Needs: shared/blocks.wgsl, k_scale_min (shared/k_scales.wgsl).
fn block_q4_k(base: u32, count: u32, block: u32) -> WeightBlock {
  let scale_min = k_scale_min(base + (count >> 3u) + 4u * (block >> 3u), (block & 7u));
  return shifted_block(block_nibbles(base + 4u * block), scale_min.x, -scale_min.y);
}
