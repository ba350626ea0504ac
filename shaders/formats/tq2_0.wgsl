// TQ2_0: weight = (quant - 1) * d. A block is 256 weights with one d, f16.
// Planes: quants, 2 bits; d, two a word.
// Needs: pair_quants, scaled_quants (shared/quants.wgsl), half_at (shared/half_plane.wgsl).
fn scale_tq2_0(base: u32, count: u32, unit: u32) -> vec2f {
  let d = half_at(base + (count >> 4u), unit >> 5u);
  return vec2f(d, -d);
}

fn unit_tq2_0(base: u32, count: u32, unit: u32, scale: vec2f) -> array<vec4f, 2> {
  return scaled_quants(pair_quants(weights[base + (unit >> 1u)], unit), scale.x, scale.y);
}
