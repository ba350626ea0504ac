// The scales of Q4_K and Q5_K: a block of 256 weights has a d and a dmin, f16, and each group of 32
// weights a scale and a min of 6 bits.
// Needs: weights (shared/weights.wgsl), half_of (shared/half.wgsl).

// d * scale and dmin * min of a group. The block's 4 words start at `scales`: d and dmin, then
// ggml's 12 bytes of scales and mins.
fn k_scale_min(scales: u32, group: u32) -> vec2f {
  // Byte group % 4 of the three words. Groups 4 to 7 have their low 4 bits in the third word and
  // their high 2 bits above the 6 bits of groups 0 to 3.
  let shift = 8u * (group & 3u);
  let first = weights[scales + 1u] >> shift;
  let second = weights[scales + 2u] >> shift;
  let third = weights[scales + 3u] >> shift;
  let upper = group >= 4u;
  let scale_bits = select(first & 63u, (third & 15u) | ((first >> 2u) & 48u), upper);
  let min_bits = select(second & 63u, ((third >> 4u) & 15u) | ((second >> 2u) & 48u), upper);

  let halves = weights[scales];
  return vec2f(
    half_of(halves, 0u) * f32(scale_bits),
    half_of(halves, 1u) * f32(min_bits),
  );
}
