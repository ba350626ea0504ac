// Keys and values in f32, as they are.
//
// Every format of caches supplies the same: Cached, what a four of numbers is made of, and
// cache_quad(quad, scale), four numbers that stand beside each other. quad counts fours of numbers
// from the cache's start; scale is the word that has the scale of their block of 32 numbers, for
// formats that have scales.
// Needs: cache, an array of Cached.
alias Cached = vec4f;

fn cache_quad(quad: u32, scale: u32) -> vec4f {
  return cache[quad];
}
