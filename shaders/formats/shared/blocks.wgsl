// The bytes of blocks of 32 weights.
//
// A format X supplies, beside load_X (weights.wgsl), where it allows products of integers:
//   block_X(base, count, block) = weights [32 * block, 32 * block + 32), as a WeightBlock
//   (weight_block.wgsl).
// Needs: weights (weights.wgsl), BlockBytes (weight_block.wgsl).

// 4 bits, four words a block (quants.wgsl).
fn block_nibbles(word: u32) -> BlockBytes {
  let a = weights[word];
  let b = weights[word + 1u];
  let c = weights[word + 2u];
  let d = weights[word + 3u];
  let mask = vec4u(0x0f0f0f0fu);
  return BlockBytes(vec4u(a, a >> 4u, b, b >> 4u) & mask, vec4u(c, c >> 4u, d, d >> 4u) & mask);
}

// The lowest 2 bits of each byte of `low` and `high` in a block: two words of pairs.
fn block_pairs(word: u32) -> BlockBytes {
  let shifts = vec4u(0u, 2u, 4u, 6u);
  let mask = vec4u(0x03030303u);
  return BlockBytes(
    (vec4u(weights[word]) >> shifts) & mask,
    (vec4u(weights[word + 1u]) >> shifts) & mask,
  );
}

// 1 bit: a word a block.
fn block_bits(word: u32) -> BlockBytes {
  let bits = vec4u(weights[word]);
  let mask = vec4u(0x01010101u);
  return BlockBytes(
    (bits >> vec4u(0u, 1u, 2u, 3u)) & mask,
    (bits >> vec4u(4u, 5u, 6u, 7u)) & mask,
  );
}
