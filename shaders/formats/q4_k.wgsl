// Q4_K: weight = quant * (d * scale) - dmin * min. A block is 256 weights.
// Planes: quants, 4 bits; scales, 4 words a block.
// Needs: scaled_nibbles (shared/quants.wgsl), k_scale_min (shared/k_scales.wgsl).
fn scale_q4_k(base: u32, count: u32, unit: u32) -> vec2f {
  let scale_plane = base + (count >> 3u);
  let scale_min = k_scale_min(scale_plane + 4u * (unit >> 5u), (unit >> 2u) & 7u);
  return vec2f(scale_min.x, -scale_min.y);
}

fn unit_q4_k(base: u32, count: u32, unit: u32, scale: vec2f) -> array<vec4f, 2> {
  return scaled_nibbles(weights[base + unit], scale.x, scale.y);
}
