// Q8_0: weight = quant * scale, a scale for each 32 weights.
// Planes: quants, a signed byte a weight, 2 words a unit; scales, f16.
// Needs: signed_byte_numbers (shared/bytes.wgsl), half_at (shared/half_plane.wgsl).
fn load_q8_0(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {
  let scale = half_at(base + (count >> 2u), unit >> 2u);
  let word = base + 2u * unit;
  return array<vec4f, 2>(
    signed_byte_numbers(weights[word]) * scale,
    signed_byte_numbers(weights[word + 1u]) * scale,
  );
}
