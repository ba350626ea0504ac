// Q4_0: weight = (quant - 8) * scale, a scale for each 32 weights.
// Planes: quants, 4 bits; scales, f16.
// Needs: scaled_nibbles (shared/quants.wgsl), half_at (shared/half_plane.wgsl).
fn scale_q4_0(base: u32, count: u32, unit: u32) -> vec2f {
  let scale = half_at(base + (count >> 3u), unit >> 2u);
  return vec2f(scale, -8.0 * scale);
}

fn unit_q4_0(base: u32, count: u32, unit: u32, scale: vec2f) -> array<vec4f, 2> {
  return scaled_nibbles(weights[base + unit], scale.x, scale.y);
}
