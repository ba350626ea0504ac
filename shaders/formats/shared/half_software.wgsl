// The same as half.wgsl for software adapters, whose unpack2x16float keeps subnormals and is
// cheaper than shifts.
fn half_to_float(bits: u32) -> f32 {
  return unpack2x16float(bits).x;
}

fn half_of(word: u32, index: u32) -> f32 {
  let halves = unpack2x16float(word);
  return select(halves.x, halves.y, (index & 1u) != 0u);
}
