// Keys and values in blocks of 32 signed bytes, 4 a word: number = quant * scale.
// Scales: the upper half of an f32 for each block, two a word, behind all quants.
@group(1) @binding(0) var<storage, read> cache: array<u32>;

fn cache_scale(scales_first: u32, block: u32) -> f32 {
  let pair = cache[scales_first + block / 2u];
  return bitcast<f32>(select(pair << 16u, pair & 0xffff0000u, block % 2u == 1u));
}

fn cache_quad(scales_first: u32, quad: u32) -> vec4f {
  return vec4f(unpack4xI8(cache[quad])) * cache_scale(scales_first, quad / 8u);
}

fn cache_value(scales_first: u32, index: u32) -> f32 {
  let quant = extractBits(bitcast<i32>(cache[index / 4u]), 8u * (index % 4u), 8u);
  return f32(quant) * cache_scale(scales_first, index / 32u);
}
