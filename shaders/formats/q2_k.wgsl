// Q2_K: weight = quant * (d * scale) - dmin * min. A block is 256 weights with a d and a dmin, f16;
// each 16 weights have a scale (low half of a byte) and a min (high half).
// Planes: quants, 2 bits; scales and mins, 4 words a block, in order; d and dmin, a word a block.
// Needs: pair_quants, scaled_quants (shared/quants.wgsl), half_of (shared/half.wgsl).
fn load_q2_k(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {
  let scale_plane = base + (count >> 4u);
  let halves = weights[scale_plane + (count >> 6u) + (unit >> 5u)];
  let scale_min = byte_at(scale_plane, unit >> 1u);
  let scale = half_of(halves, 0u) * f32(scale_min & 15u);
  let offset = -half_of(halves, 1u) * f32(scale_min >> 4u);
  return scaled_quants(pair_quants(weights[base + (unit >> 1u)], unit), scale, offset);
}
