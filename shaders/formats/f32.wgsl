// F32 weights, as they are. One plane: a word a weight.
fn load_f32(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {
  let word = base + 8u * unit;
  return array<vec4f, 2>(
    vec4f(
      bitcast<f32>(weights[word]),
      bitcast<f32>(weights[word + 1u]),
      bitcast<f32>(weights[word + 2u]),
      bitcast<f32>(weights[word + 3u]),
    ),
    vec4f(
      bitcast<f32>(weights[word + 4u]),
      bitcast<f32>(weights[word + 5u]),
      bitcast<f32>(weights[word + 6u]),
      bitcast<f32>(weights[word + 7u]),
    ),
  );
}
