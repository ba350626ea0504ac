// Writes a head's keys or values to a cache in signed bytes. See q8_0.wgsl and store_f32.wgsl.
// Needs: cache, an array of words; row_barrier (shaders/reduce).
const MOST = 127.0;
const SMALLEST = 0x1p-126;
const BLOCK = 32u;
const MOST_STAGED = 1024u;

var<workgroup> staged: array<f32, MOST_STAGED>;

fn store_number(place: Place, i: u32, value: f32) {
  staged[i] = value;
}

fn store_head(place: Place, width: u32, lane: u32) {
  row_barrier();
  for (var block = lane; BLOCK * block < width; block += LANES) {
    let first = BLOCK * block;
    let end = min(first + BLOCK, width);
    var top = 0.0;
    for (var i = first; i < end; i++) {
      top = max(top, abs(staged[i]));
    }
    // Not 0, which nothing can be divided by.
    let scale = max(top / MOST, SMALLEST);
    for (var i = first; i < end; i += 4u) {
      let numbers = vec4f(staged[i], staged[i + 1u], staged[i + 2u], staged[i + 3u]);
      let quants = clamp(round(numbers / scale), vec4f(-MOST), vec4f(MOST));
      cache[place.quad + i / 4u * place.quad_step] = pack4xI8(vec4i(quants));
    }
    cache[place.scale + block] = bitcast<u32>(scale);
  }
}
