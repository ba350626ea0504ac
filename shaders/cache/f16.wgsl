// Keys and values in f16, two a word. What is below its normal numbers may be read as 0.
@group(1) @binding(0) var<storage, read> cache: array<vec2u>;

fn cache_quad(scales_first: u32, quad: u32) -> vec4f {
  let words = cache[quad];
  return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
}

fn cache_value(scales_first: u32, index: u32) -> f32 {
  return unpack2x16float(cache[index / 4u][index / 2u % 2u])[index % 2u];
}
