// TQ2_0: weight = (quant - 1) * d. A block is 256 weights with one d, f16.
// Planes: quants, 2 bits; d, two a word.
// Needs: pair_quants, scaled_quants (shared/quants.wgsl), half_at (shared/half_plane.wgsl).
fn load_tq2_0(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {
  let d = half_at(base + (count >> 4u), unit >> 5u);
  return scaled_quants(pair_quants(weights[base + (unit >> 1u)], unit), d, -d);
}
