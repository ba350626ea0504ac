// The same as half.wgsl for software adapters: a product in the place of a shift, the signed number
// in that of the unsigned one, and one half of a word at most.
fn half_to_float(bits: u32) -> f32 {
  let magnitude = bits & 0x7fffu;
  let normal = bitcast<f32>(magnitude * 0x2000u + 0x38000000u);
  let subnormal = f32(bitcast<i32>(magnitude)) * 0x1p-24;
  let value = select(normal, subnormal, magnitude < 0x0400u);
  return select(value, -value, (bits & 0x8000u) != 0u);
}

// Half `index % 2` of a word.
fn half_of(word: u32, index: u32) -> f32 {
  return half_to_float(select(word, word >> 16u, (index & 1u) != 0u));
}
