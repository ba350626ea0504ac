// Keys and values in f32, as they are.
//
// Every format of caches supplies the same functions, of numbers counted from the cache's start:
//   cache_quad(scales_first, quad) = numbers [4 * quad, 4 * quad + 4);
//   cache_value(scales_first, index) = one number;
//   scales_first: word of the cache at which its scales start, for formats that have any.
@group(1) @binding(0) var<storage, read> cache: array<vec4f>;

fn cache_quad(scales_first: u32, quad: u32) -> vec4f {
  return cache[quad];
}

fn cache_value(scales_first: u32, index: u32) -> f32 {
  return cache[index / 4u][index % 4u];
}
