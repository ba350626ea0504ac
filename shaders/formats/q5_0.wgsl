// Q5_0: weight = (quant - 16) * scale, a scale for each 32 weights.
// Planes: low 4 bits of the quants; their high bits, a word a block; scales, f16.
// Needs: nibble_quants, bit_quants, scaled_quants (shared/quants.wgsl), half_at
// (shared/half_plane.wgsl).
fn load_q5_0(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {
  let high_plane = base + (count >> 3u);
  let scale_plane = high_plane + padded_words(count >> 5u);
  let block = unit >> 2u;
  let low = nibble_quants(weights[base + unit]);
  let high = bit_quants(weights[high_plane + block], unit);
  let scale = half_at(scale_plane, block);
  return scaled_quants(low | (high << vec2u(4u)), scale, -16.0 * scale);
}
