// MXFP4: weight = table[quant] * 2^(exponent - 128), an exponent for each 32 weights.
// Planes: quants, 4 bits; exponents, a byte a block.
// Needs: nibble_quants (shared/quants.wgsl), table_weights (shared/nibble_tables.wgsl).
fn scale_mxfp4(base: u32, count: u32, unit: u32) -> vec2f {
  let exponent = byte_at(base + (count >> 3u), unit >> 2u);
  // The scales of exponents 0 and 1 are subnormal, and a GPU may take them for 0.
  let bits = select((exponent - 1u) << 23u, 0x00200000u << exponent, exponent < 2u);
  return vec2f(bitcast<f32>(bits), 0.0);
}

fn unit_mxfp4(base: u32, count: u32, unit: u32, scale: vec2f) -> array<vec4f, 2> {
  return table_weights(E2M1_TABLE, nibble_quants(weights[base + unit]), scale.x);
}
