// Writes a head's keys or values to a cache in signed bytes. See q8_0.wgsl and store_f32.wgsl. A
// piece is a block.
const PIECE_QUADS = 8u;
const MOST = 127.0;
const SMALLEST = 0x1p-126;

fn store_piece(place: Place, head: Head, piece: u32, width: u32) {
  let first = PIECE_QUADS * piece;
  let count = min(PIECE_QUADS, width / 4u - first);
  var numbers: array<vec4f, PIECE_QUADS>;
  var tops = vec4f();
  for (var i = 0u; i < count; i++) {
    numbers[i] = new_quad(head, first + i);
    tops = max(tops, abs(numbers[i]));
  }
  let top = max(max(tops.x, tops.y), max(tops.z, tops.w));
  // Not 0, which nothing can be divided by.
  let scale = max(top / MOST, SMALLEST);
  for (var i = 0u; i < count; i++) {
    let quants = clamp(round(numbers[i] / scale), vec4f(-MOST), vec4f(MOST));
    cache[place.quad + (first + i) * place.quad_step] = pack4xI8(vec4i(quants));
  }
  cache[place.scale + piece] = bitcast<u32>(scale);
}
