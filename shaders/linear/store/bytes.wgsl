// Every part here supplies store_block(at, numbers, most, factor), which writes a block from quad
// `at` of y on: 32 numbers times factor, `most` being the greatest magnitude before that.
//
// Here blocks of signed bytes, for products of integers; number = byte * scale, where
// scale = the block's largest magnitude / 127, rounded to the nearest. Three quads: the first 16
// bytes, the last 16, and as f32 the sum of the first ones, that of the last ones, scale, and the
// largest magnitude.
// Needs: y, BLOCK_QUADS and SMALLEST (quantise.wgsl).
fn store_block(at: u32, numbers: array<vec4f, BLOCK_QUADS>, most: f32, factor: f32) {
  let inverse = select(0.0, 127.0 / most, most >= SMALLEST);
  var bytes: array<vec4u, 2>;
  var sums: vec2f;
  for (var i = 0u; i < BLOCK_QUADS; i++) {
    let four = round(numbers[i] * inverse);
    bytes[i / 4u][i % 4u] = pack4xI8(vec4i(four));
    sums[i / 4u] += four.x + four.y + four.z + four.w;
  }
  y[at] = bytes[0];
  y[at + 1u] = bytes[1];
  let largest = most * factor;
  y[at + 2u] = bitcast<vec4u>(vec4f(sums, largest * (1.0 / 127.0), largest));
}
