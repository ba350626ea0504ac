// Blocks of IQ4_XS (../iq4_xs.wgsl). Needs: shared/blocks.wgsl, table_block
// (shared/table_blocks.wgsl), half_of (shared/half.wgsl).
fn block_iq4_xs(base: u32, count: u32, block: u32) -> WeightBlock {
  let scales = base + (count >> 3u) + 2u * (block >> 3u);
  let group = (block & 7u);
  let first = weights[scales];
  let low_scale = (weights[scales + 1u] >> (4u * group)) & 15u;
  let high_scale = (first >> (16u + 2u * group)) & 3u;
  let scale = half_of(first, 0u) * (f32(low_scale | (high_scale << 4u)) - 32.0);
  return scaled_block(table_block(IQ4_TABLE, block_nibbles(base + 4u * block)), 0.0, scale);
}
