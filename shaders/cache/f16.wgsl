// Keys and values in f16, two a word. What is below its normal numbers may be read as 0. See
// f32.wgsl.
alias Cached = vec2u;

fn cache_quad(quad: u32, scale: u32) -> vec4f {
  let words = cache[quad];
  return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
}
