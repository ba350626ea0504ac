// Q4_1: weight = quant * scale + min, a scale and a min for each 32 weights.
// Planes: quants, 4 bits; scale and min, f16, a word a block.
// Needs: nibble_quants, scaled_quants (shared/quants.wgsl), half_to_float (shared/half.wgsl).
fn load_q4_1(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {
  let halves = weights[base + count / 8u + unit / 4u];
  let quants = nibble_quants(weights[base + unit]);
  return scaled_quants(quants, half_to_float(halves), half_to_float(halves >> 16u));
}
