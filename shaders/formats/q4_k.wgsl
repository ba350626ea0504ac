// Q4_K: weight = quant * (d * scale) - dmin * min. A block is 256 weights with a d and a dmin, f16;
// each 32 weights have a scale and a min of 6 bits.
// Planes: quants, a word a unit, byte i holds quants i (low half) and i + 4 (high half);
// scales, 4 words a block: d and dmin, then ggml's 12 bytes of scales and mins.
// Needs: half_to_float (shared/half.wgsl).
fn load_q4_k(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {
  let scales = base + count / 8u + 4u * (unit / 32u);
  let group = (unit / 4u) % 8u;
  // Byte group % 4 of the three words. Groups 4 to 7 have their low 4 bits in the third word and
  // their high 2 bits above the 6 bits of groups 0 to 3.
  let shift = 8u * (group % 4u);
  let first = weights[scales + 1u] >> shift;
  let second = weights[scales + 2u] >> shift;
  let third = weights[scales + 3u] >> shift;
  let upper = group >= 4u;
  let scale_bits = select(first & 63u, (third & 15u) | ((first >> 2u) & 48u), upper);
  let min_bits = select(second & 63u, ((third >> 4u) & 15u) | ((second >> 2u) & 48u), upper);

  let halves = weights[scales];
  let scale = half_to_float(halves) * f32(scale_bits);
  let offset = half_to_float(halves >> 16u) * f32(min_bits);
  let quants = weights[base + unit];
  return array<vec4f, 2>(
    vec4f(unpack4xU8(quants & 0x0f0f0f0fu)) * scale - offset,
    vec4f(unpack4xU8((quants >> 4u) & 0x0f0f0f0fu)) * scale - offset,
  );
}
