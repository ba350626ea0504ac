// Q5_K: weight = quant * (d * scale) - dmin * min. A block is 256 weights.
// Planes: low 4 bits of the quants; their high bits, a word for 32 weights; scales, 4 words a
// block.
// Needs: nibble_quants, bit_quants, scaled_quants (shared/quants.wgsl),
// k_scale_min (shared/k_scales.wgsl).
fn scale_q5_k(base: u32, count: u32, unit: u32) -> vec2f {
  let scale_plane = base + (count >> 3u) + (count >> 5u);
  let scale_min = k_scale_min(scale_plane + 4u * (unit >> 5u), (unit >> 2u) & 7u);
  return vec2f(scale_min.x, -scale_min.y);
}

fn unit_q5_k(base: u32, count: u32, unit: u32, scale: vec2f) -> array<vec4f, 2> {
  let high_plane = base + (count >> 3u);
  let low = nibble_quants(weights[base + unit]);
  let high = bit_quants(weights[high_plane + (unit >> 2u)], unit);
  return scaled_quants(low | (high << vec2u(4u)), scale.x, scale.y);
}
