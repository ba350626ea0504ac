// Blocks of Q8_0 (../q8_0.wgsl). Needs: shared/blocks.wgsl, half_at (shared/half_plane.wgsl).
fn block_q8_0(base: u32, count: u32, block: u32) -> WeightBlock {
  let word = base + 8u * block;
  let bytes = BlockBytes(
    vec4u(weights[word], weights[word + 1u], weights[word + 2u], weights[word + 3u]),
    vec4u(weights[word + 4u], weights[word + 5u], weights[word + 6u], weights[word + 7u]),
  );
  return scaled_block(bytes, 0.0, half_at(base + (count >> 2u), block));
}
