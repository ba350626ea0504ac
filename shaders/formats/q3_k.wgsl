// Q3_K: weight = (quant - 4) * (d * (scale - 32)). A block is 256 weights with one d, f16; each 16
// weights have a scale of 6 bits.
// Planes:
//   low 2 bits of the quants;
//   their high bits, a word for 32 weights;
//   scales, ggml's 3 words a block: of scale s, byte s % 4 of word (s / 4) % 2 has the low 4 bits,
//   scales from 8 on in its high half, and byte s % 4 of word 2 the high 2 bits, at 2 * (s / 4);
//   d, two a word.
// Needs: pair_quants, bit_quants, scaled_quants (shared/quants.wgsl), half_at
// (shared/half_plane.wgsl).
fn load_q3_k(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {
  let high_plane = base + (count >> 4u);
  let scale_plane = high_plane + (count >> 5u);
  let d_plane = scale_plane + padded_words(3u * (count >> 8u));

  let block = unit >> 5u;
  let scales = scale_plane + 3u * block;
  let index = (unit >> 1u) & 15u;
  let shift = 8u * (index & 3u);
  let low_scale = weights[scales + ((index >> 2u) & 1u)] >> (shift + 4u * (index >> 3u));
  let high_scale = weights[scales + 2u] >> (shift + 2u * (index >> 2u));
  let scale_bits = (low_scale & 15u) | ((high_scale & 3u) << 4u);
  let scale = half_at(d_plane, block) * (f32(scale_bits) - 32.0);

  let low = pair_quants(weights[base + (unit >> 1u)], unit);
  let high = bit_quants(weights[high_plane + (unit >> 2u)], unit);
  return scaled_quants(low | (high << vec2u(2u)), scale, -4.0 * scale);
}
