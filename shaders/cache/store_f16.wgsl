// Writes 64 numbers of a cache in f16. See f16.wgsl.
// Needs: cache, an array of words (pack_cache.wgsl).
const LARGEST_F16 = 65504.0;

fn store_unit(scales_first: u32, unit: u32, numbers: array<vec4f, 16>) {
  var quads = numbers;
  for (var quad = 0u; quad < 16u; quad++) {
    let values = clamp(quads[quad], vec4f(-LARGEST_F16), vec4f(LARGEST_F16));
    let word = 32u * unit + 2u * quad;
    cache[word] = pack2x16float(values.xy);
    cache[word + 1u] = pack2x16float(values.zw);
  }
}
