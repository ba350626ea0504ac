// Q4_1: weight = quant * scale + min, a scale and a min for each 32 weights.
// Planes: quants, 4 bits; scale and min, f16, a word a block.
// Needs: scaled_nibbles (shared/quants.wgsl), half_of (shared/half.wgsl).
fn scale_q4_1(base: u32, count: u32, unit: u32) -> vec2f {
  let halves = weights[base + (count >> 3u) + (unit >> 2u)];
  return vec2f(half_of(halves, 0u), half_of(halves, 1u));
}

fn unit_q4_1(base: u32, count: u32, unit: u32, scale: vec2f) -> array<vec4f, 2> {
  return scaled_nibbles(weights[base + unit], scale.x, scale.y);
}
