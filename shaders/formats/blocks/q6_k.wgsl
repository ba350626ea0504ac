// Blocks of Q6_K (../q6_k.wgsl). Needs: shared/blocks.wgsl, half_at (shared/half_plane.wgsl).
fn block_q6_k(base: u32, count: u32, block: u32) -> WeightBlock {
  let high_plane = base + (count >> 3u);
  let scale_plane = high_plane + (count >> 4u);
  let d = half_at(scale_plane + (count >> 6u), (block >> 3u));
  let scales = unpack4xI8(weights[scale_plane + (block >> 1u)] >> (16u * (block & 1u)));
  let low = block_nibbles(base + 4u * block);
  let bytes = with_high(low, block_pairs(high_plane + 2u * block), 4u);
  return WeightBlock(bytes.low, bytes.high, 32.0, d * vec2f(scales.xy), vec2f());
}
