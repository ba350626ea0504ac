// Blocks of halves (f16), for products in f16; see bytes.wgsl. number = half * scale: a power of
// two takes the block's largest magnitude to [32, 64), and scale takes it back and has the factor.
// So nothing overflows (unit/half_blocks.wgsl), what is 2^-19 of the largest or more keeps all bits
// of a half, and any number of f32 can stand in a block. Five quads: eight halves in each of four,
// and as f32 the sum of the first 16 halves, that of the last 16, scale, and 0.
// Needs: y, BLOCK_QUADS and SMALLEST (quantise.wgsl), half_of (shaders/formats/shared/half.wgsl).
fn store_block(at: u32, numbers: array<vec4f, BLOCK_QUADS>, most: f32, factor: f32) {
  // As f32 has it: 127 for [1, 2).
  let exponent = bitcast<u32>(most) >> 23u;
  let is_small = !(most >= SMALLEST);
  let up = select(bitcast<f32>((259u - exponent) << 23u), 0.0, is_small);
  let down = select(bitcast<f32>((exponent - 5u) << 23u), 0.0, is_small);
  var sums: vec2f;
  for (var i = 0u; i < BLOCK_QUADS / 2u; i++) {
    let low = numbers[2u * i] * up;
    let high = numbers[2u * i + 1u] * up;
    let words = vec4u(
      pack2x16float(low.xy),
      pack2x16float(low.zw),
      pack2x16float(high.xy),
      pack2x16float(high.zw),
    );
    y[at + i] = words;
    sums[i / 2u] += half_sum(words.x) + half_sum(words.y) + half_sum(words.z) + half_sum(words.w);
  }
  y[at + 4u] = bitcast<vec4u>(vec4f(sums, down * factor, 0.0));
}

// The sum of both halves of a word. Not by unpack2x16float: of what was packed just before, some
// drivers take the number that it was before it was rounded.
fn half_sum(word: u32) -> f32 {
  return half_of(word, 0u) + half_of(word, 1u);
}
