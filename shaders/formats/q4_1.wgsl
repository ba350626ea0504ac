// Q4_1: weight = quant * scale + min, a scale and a min for each 32 weights.
// Planes: quants, 4 bits; scale and min, f16, a word a block.
// Needs: scaled_nibbles (shared/quants.wgsl), half_of (shared/half.wgsl).
fn load_q4_1(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {
  let halves = weights[base + (count >> 3u) + (unit >> 2u)];
  return scaled_nibbles(weights[base + unit], half_of(halves, 0u), half_of(halves, 1u));
}
