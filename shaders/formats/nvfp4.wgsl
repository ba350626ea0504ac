// NVFP4: weight = table[quant] * scale / 2, a scale for each 16 weights: an unsigned float of 4
// exponent and 3 fraction bits.
// Planes: quants, 4 bits; scales, a byte each.
// Needs: nibble_quants (shared/quants.wgsl), table_weights (shared/nibble_tables.wgsl).
fn load_nvfp4(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {
  let scale = half_ue4m3(byte_at(base + (count >> 3u), unit >> 1u));
  return table_weights(E2M1_TABLE, nibble_quants(weights[base + unit]), scale);
}

// Half of the number that `bits` stand for: (8 + fraction) * 2^(exponent - 10), or
// fraction * 2^-9 for exponent 0. 0x7f would be NaN and is 0.
fn half_ue4m3(bits: u32) -> f32 {
  let magnitude = bits & 0x7fu;
  let normal = bitcast<f32>((magnitude << 20u) + (119u << 23u));
  let subnormal = f32(magnitude) * 0.0009765625;  // 2^-10
  return select(select(normal, subnormal, magnitude < 8u), 0.0, bits == 0x7fu);
}
