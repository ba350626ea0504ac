// Writes a head's keys or values to a cache in f16. See f16.wgsl and store_f32.wgsl.
const PIECE_QUADS = 1u;
const LARGEST_F16 = 65504.0;

fn store_piece(place: Place, head: Head, piece: u32, width: u32) {
  let numbers = clamp(new_quad(head, piece), vec4f(-LARGEST_F16), vec4f(LARGEST_F16));
  let words = vec2u(pack2x16float(numbers.xy), pack2x16float(numbers.zw));
  cache[place.quad + piece * place.quad_step] = words;
}
