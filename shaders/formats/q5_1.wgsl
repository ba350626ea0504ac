// Q5_1: weight = quant * scale + min, a scale and a min for each 32 weights.
// Planes: low 4 bits of the quants; their high bits, a word a block; scale and min, f16, a word a
// block.
// Needs: nibble_quants, bit_quants, scaled_quants (shared/quants.wgsl),
// half_of (shared/half.wgsl).
fn scale_q5_1(base: u32, count: u32, unit: u32) -> vec2f {
  let scale_plane = base + (count >> 3u) + padded_words(count >> 5u);
  let halves = weights[scale_plane + (unit >> 2u)];
  return vec2f(half_of(halves, 0u), half_of(halves, 1u));
}

fn unit_q5_1(base: u32, count: u32, unit: u32, scale: vec2f) -> array<vec4f, 2> {
  let high_plane = base + (count >> 3u);
  let low = nibble_quants(weights[base + unit]);
  let high = bit_quants(weights[high_plane + (unit >> 2u)], unit);
  return scaled_quants(low | (high << vec2u(4u)), scale.x, scale.y);
}
