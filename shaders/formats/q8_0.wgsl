// Q8_0: weight = quant * scale, a scale for each 32 weights.
// Planes: quants, a signed byte a weight, 2 words a unit; scales, f16, two a word.
// Needs: half_to_float (shared/half.wgsl).
fn load_q8_0(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {
  let block = unit / 4u;
  let scale_bits = weights[base + count / 4u + block / 2u] >> (16u * (block % 2u));
  let scale = half_to_float(scale_bits);
  let word = base + 2u * unit;
  return array<vec4f, 2>(
    vec4f(unpack4xI8(weights[word])) * scale,
    vec4f(unpack4xI8(weights[word + 1u])) * scale,
  );
}
