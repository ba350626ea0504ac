// Writes a head's keys or values to a cache in f16. See f16.wgsl and store_f32.wgsl.
// Needs: cache, an array of words; row_barrier (shaders/reduce).
const LARGEST_F16 = 65504.0;
const MOST_STAGED = 1024u;

var<workgroup> staged: array<f32, MOST_STAGED>;

fn store_number(place: Place, i: u32, value: f32) {
  staged[i] = clamp(value, -LARGEST_F16, LARGEST_F16);
}

fn store_head(place: Place, width: u32, lane: u32) {
  row_barrier();
  for (var quad = lane; 4u * quad < width; quad += LANES) {
    let word = 2u * (place.quad + quad * place.quad_step);
    cache[word] = pack2x16float(vec2f(staged[4u * quad], staged[4u * quad + 1u]));
    cache[word + 1u] = pack2x16float(vec2f(staged[4u * quad + 2u], staged[4u * quad + 3u]));
  }
}
