// bfloat16 weights, the upper halves of f32 numbers, as they are. One plane: two weights a word.
fn load_bf16(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {
  let word = base + 4u * unit;
  return array<vec4f, 2>(
    vec4f(bf16_pair(weights[word]), bf16_pair(weights[word + 1u])),
    vec4f(bf16_pair(weights[word + 2u]), bf16_pair(weights[word + 3u])),
  );
}

fn bf16_pair(bits: u32) -> vec2f {
  return vec2f(bitcast<f32>(bits << 16u), bitcast<f32>(bits & 0xffff0000u));
}
