// Q6_K: weight = (quant - 32) * (d * scale). A block is 256 weights with one d, f16;
// each 16 weights have a scale, a signed byte.
// Planes: low 4 bits of the quants; their high 2 bits; scales, 4 words a block, in order; d, two a
// word.
// Needs: nibble_quants, pair_quants, scaled_quants (shared/quants.wgsl),
// half_at (shared/half_plane.wgsl).
fn load_q6_k(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {
  let high_plane = base + (count >> 3u);
  let scale_plane = high_plane + (count >> 4u);
  let d_plane = scale_plane + (count >> 6u);

  let scale_index = unit >> 1u;
  let scale_word = bitcast<i32>(weights[scale_plane + (scale_index >> 2u)]);
  let scale_byte = extractBits(scale_word, 8u * (scale_index & 3u), 8u);
  let scale = half_at(d_plane, unit >> 5u) * f32(scale_byte);

  let low = nibble_quants(weights[base + unit]);
  let high = pair_quants(weights[high_plane + (unit >> 1u)], unit);
  return scaled_quants(low | (high << vec2u(4u)), scale, -32.0 * scale);
}
