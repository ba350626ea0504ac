// Blocks of Q5_K (../q5_k.wgsl). Needs: shared/blocks.wgsl, k_scale_min (shared/k_scales.wgsl).
fn block_q5_k(base: u32, count: u32, block: u32) -> WeightBlock {
  let high_plane = base + (count >> 3u);
  let scale_min = k_scale_min(high_plane + (count >> 5u) + 4u * (block >> 3u), (block & 7u));
  let low = block_nibbles(base + 4u * block);
  let bytes = with_high(low, block_bits(high_plane + block), 4u);
  return shifted_block(bytes, scale_min.x, -scale_min.y);
}
