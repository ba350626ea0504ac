// IQ4_NL: weight = table[quant] * scale, a scale for each 32 weights.
// Planes: quants, 4 bits; scales, f16.
// Needs: nibble_quants (shared/quants.wgsl), table_weights (shared/nibble_tables.wgsl),
// half_at (shared/half_plane.wgsl).
fn scale_iq4_nl(base: u32, count: u32, unit: u32) -> vec2f {
  return vec2f(half_at(base + (count >> 3u), unit >> 2u), 0.0);
}

fn unit_iq4_nl(base: u32, count: u32, unit: u32, scale: vec2f) -> array<vec4f, 2> {
  return table_weights(IQ4_TABLE, nibble_quants(weights[base + unit]), scale.x);
}
