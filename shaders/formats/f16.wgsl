// IEEE half precision weights, as they are. One plane: two weights a word.
// unpack2x16float may read a weight below 2^-14 as 0: too small an error to pay for on each weight.
fn load_f16(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {
  let word = base + 4u * unit;
  return array<vec4f, 2>(
    vec4f(unpack2x16float(weights[word]), unpack2x16float(weights[word + 1u])),
    vec4f(unpack2x16float(weights[word + 2u]), unpack2x16float(weights[word + 3u])),
  );
}
