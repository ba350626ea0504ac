// Q5_0: weight = (quant - 16) * scale, a scale for each 32 weights.
// Planes: low 4 bits of the quants; their high bits, a word a block; scales, f16.
// Needs: nibble_quants, bit_quants, scaled_quants (shared/quants.wgsl), half_at
// (shared/half_plane.wgsl).
fn scale_q5_0(base: u32, count: u32, unit: u32) -> vec2f {
  let scale_plane = base + (count >> 3u) + padded_words(count >> 5u);
  let scale = half_at(scale_plane, unit >> 2u);
  return vec2f(scale, -16.0 * scale);
}

fn unit_q5_0(base: u32, count: u32, unit: u32, scale: vec2f) -> array<vec4f, 2> {
  let high_plane = base + (count >> 3u);
  let low = nibble_quants(weights[base + unit]);
  let high = bit_quants(weights[high_plane + (unit >> 2u)], unit);
  return scaled_quants(low | (high << vec2u(4u)), scale.x, scale.y);
}
