// Writes a head's keys or values to a cache in f32. See f32.wgsl.
//
// Every format of caches supplies the same: PIECE_QUADS, fours of numbers that a lane writes at
// once, and store_piece(place, head, piece, width), which writes piece `piece` of a head of `width`
// numbers to `place` (shaders/cache/place.wgsl).
// Needs: cache, an array of Cached; Head and new_quad(head, quad), four numbers of it (the kernel).
const PIECE_QUADS = 1u;

fn store_piece(place: Place, head: Head, piece: u32, width: u32) {
  cache[place.quad + piece * place.quad_step] = new_quad(head, piece);
}
