// F32 weights, as they are. One plane: a word a weight.
//
// Every format supplies the same function:
//   load_weights(base, count, unit) = weights [8 * unit, 8 * unit + 8) of a matrix,
//   base: word at which the matrix starts in `weights`;
//   count: how many weights the matrix has (tells the planes' offsets).
// Planes follow one another, each padded to 4 words.
@group(1) @binding(0) var<storage, read> weights: array<u32>;

fn load_weights(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {
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
