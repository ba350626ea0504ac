// Q8_0: weight = quant * scale, a scale for each 32 weights.
// Planes: quants, a signed byte a weight, 2 words a unit; scales, f16.
// Needs: signed_byte_numbers (shared/bytes.wgsl), half_at (shared/half_plane.wgsl).
fn scale_q8_0(base: u32, count: u32, unit: u32) -> vec2f {
  return vec2f(half_at(base + (count >> 2u), unit >> 2u), 0.0);
}

fn unit_q8_0(base: u32, count: u32, unit: u32, scale: vec2f) -> array<vec4f, 2> {
  let word = base + 2u * unit;
  return array<vec4f, 2>(
    signed_byte_numbers(weights[word]) * scale.x,
    signed_byte_numbers(weights[word + 1u]) * scale.x,
  );
}
