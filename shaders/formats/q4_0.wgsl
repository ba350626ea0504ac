// Q4_0: weight = (quant - 8) * scale, a scale for each 32 weights.
// Planes: quants, a word a unit, byte i holds quants i (low half) and i + 4 (high half);
// scales, f16, two a word.
// Needs: half_to_float (shared/half.wgsl).
fn load_q4_0(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {
  let block = unit / 4u;
  let scale_bits = weights[base + count / 8u + block / 2u] >> (16u * (block % 2u));
  let scale = half_to_float(scale_bits);
  let quants = weights[base + unit];
  return array<vec4f, 2>(
    (vec4f(unpack4xU8(quants & 0x0f0f0f0fu)) - 8.0) * scale,
    (vec4f(unpack4xU8((quants >> 4u) & 0x0f0f0f0fu)) - 8.0) * scale,
  );
}
