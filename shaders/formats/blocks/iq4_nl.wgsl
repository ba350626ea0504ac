// Blocks of IQ4_NL (../iq4_nl.wgsl). Needs: shared/blocks.wgsl, table_block
// (shared/table_blocks.wgsl), half_at (shared/half_plane.wgsl).
fn block_iq4_nl(base: u32, count: u32, block: u32) -> WeightBlock {
  let bytes = table_block(IQ4_TABLE, block_nibbles(base + 4u * block));
  return scaled_block(bytes, 0.0, half_at(base + (count >> 3u), block));
}
