// IQ4_XS: weight = table[quant] * (d * (scale - 32)). A block is 256 weights with one d, f16; each
// 32 weights have a scale of 6 bits.
// Planes: quants, 4 bits; scales, 2 words a block: d (low half) and the scales' high 2 bits, then
// their low 4 bits.
// Needs: nibble_quants (shared/quants.wgsl), table_weights (shared/nibble_tables.wgsl),
// half_to_float (shared/half.wgsl).
fn scale_iq4_xs(base: u32, count: u32, unit: u32) -> vec2f {
  let scales = base + (count >> 3u) + 2u * (unit >> 5u);
  let group = (unit >> 2u) & 7u;
  let first = weights[scales];
  let low_scale = (weights[scales + 1u] >> (4u * group)) & 15u;
  let high_scale = (first >> (16u + 2u * group)) & 3u;
  return vec2f(half_to_float(first) * (f32(low_scale | (high_scale << 4u)) - 32.0), 0.0);
}

fn unit_iq4_xs(base: u32, count: u32, unit: u32, scale: vec2f) -> array<vec4f, 2> {
  return table_weights(IQ4_TABLE, nibble_quants(weights[base + unit]), scale.x);
}
