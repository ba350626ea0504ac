// Blocks of MXFP4 (../mxfp4.wgsl). Needs: shared/blocks.wgsl, table_block
// (shared/table_blocks.wgsl).
fn block_mxfp4(base: u32, count: u32, block: u32) -> WeightBlock {
  let exponent = byte_at(base + (count >> 3u), block);
  // The scales of exponents 0 and 1 are subnormal, and a GPU may take them for 0.
  let bits = select((exponent - 1u) << 23u, 0x00200000u << exponent, exponent < 2u);
  let bytes = table_block(E2M1_TABLE, block_nibbles(base + 4u * block));
  return scaled_block(bytes, 0.0, bitcast<f32>(bits));
}
