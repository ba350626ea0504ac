// The number that the low 16 bits of `bits` stand for as an IEEE half; infinity and NaN excepted.
// unpack2x16float may flush subnormals to 0, and the scales of k-quants often are subnormal:
// weights that span 0.04 give 0.04 / 15 / 63, which is below 2^-14.
fn half_to_float(bits: u32) -> f32 {
  let magnitude = bits & 0x7fffu;
  let normal = bitcast<f32>((magnitude << 13u) + 0x38000000u);
  let subnormal = f32(magnitude) * 5.9604644775390625e-8;  // 2^-24
  let value = select(normal, subnormal, magnitude < 0x0400u);
  return bitcast<f32>(bitcast<u32>(value) | ((bits & 0x8000u) << 16u));
}

// Half `index % 2` of a word.
fn half_of(word: u32, index: u32) -> f32 {
  return half_to_float(word >> (16u * (index & 1u)));
}
