// Q6_K: weight = (quant - 32) * (d * scale). A block is 256 weights with one d, f16;
// each 16 weights have a scale, a signed byte.
// Planes:
//   low 4 bits, a word a unit: byte i holds weights i (low half) and i + 4 (high half);
//   high 2 bits, a word for two units: byte i holds, from its lowest bits up, weights i and i + 4
//   of the even unit, then those of the odd one;
//   scales, 4 words a block, in order;
//   d, two a word.
// Needs: half_to_float (shared/half.wgsl).
fn load_q6_k(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {
  let high_plane = base + count / 8u;
  let scale_plane = high_plane + count / 16u;
  let d_plane = scale_plane + count / 64u;

  let block = unit / 32u;
  let d = half_to_float(weights[d_plane + block / 2u] >> (16u * (block % 2u)));
  let scale_index = unit / 2u;
  let scale_word = bitcast<i32>(weights[scale_plane + scale_index / 4u]);
  let scale = d * f32(extractBits(scale_word, 8u * (scale_index % 4u), 8u));

  let low = weights[base + unit];
  let high = weights[high_plane + unit / 2u] >> (4u * (unit % 2u));
  let first = (low & 0x0f0f0f0fu) | ((high & 0x03030303u) << 4u);
  let second = ((low >> 4u) & 0x0f0f0f0fu) | ((high & 0x0c0c0c0cu) << 2u);
  return array<vec4f, 2>(
    (vec4f(unpack4xU8(first)) - 32.0) * scale,
    (vec4f(unpack4xU8(second)) - 32.0) * scale,
  );
}
