// Keys and values in f16, two a word. What is below its normal numbers may be read as 0.
@group(1) @binding(0) var<storage, read> cache: array<vec2u>;

fn cache_quad(quad: u32, scale: u32) -> vec4f {
  let words = cache[quad];
  return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
}
