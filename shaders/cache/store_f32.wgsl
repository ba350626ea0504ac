// Writes a head's keys or values to a cache in f32. See f32.wgsl.
//
// Every format of caches supplies the same functions, for a head of `width` numbers:
//   store_number(place, i, value): number i; each is given once, by any lane;
//   store_head(place, width, lane): called by every lane, when all numbers are given.
// place (shaders/cache/place.wgsl): where they go.
// Needs: cache, an array of words.
fn store_number(place: Place, i: u32, value: f32) {
  cache[4u * (place.quad + i / 4u * place.quad_step) + i % 4u] = bitcast<u32>(value);
}

fn store_head(place: Place, width: u32, lane: u32) {
}
