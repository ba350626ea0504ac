// Keys and values in f32, as they are.
//
// Every format of caches supplies the same function: cache_quad(quad, scale), four numbers that
// stand beside each other. quad counts fours of numbers from the cache's start; scale is the word
// that has the scale of their block of 32 numbers, for formats that have scales.
@group(1) @binding(0) var<storage, read> cache: array<vec4f>;

fn cache_quad(quad: u32, scale: u32) -> vec4f {
  return cache[quad];
}
