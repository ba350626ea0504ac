// Writes a head of keys or of values (heads.wgsl) to the row of its position in the cache, whose
// rows go round. Every lane of a workgroup must call it.
// Needs: params as shaders/cache/place.wgsl calls them, INVOCATIONS (the kernel), store_piece,
// key_place, value_place (shaders/cache), heads.wgsl.
fn append(head: Head, lane: u32) {
  let row = head.position % params.rows;
  let is_key = head.part == KEY;
  var place = value_place(
    row, params.value_row_quads, head.index * params.value_head_quads, params.values_first,
    params.value_scales,
  );
  if (is_key) {
    place = key_place(
      row, params.key_row_quads, head.index * params.key_head_quads, params.key_scales,
    );
  }
  let width = select(params.value_dim, params.head_dim, is_key);
  for (var piece = lane; 4u * PIECE_QUADS * piece < width; piece += INVOCATIONS) {
    store_piece(place, head, piece, width);
  }
}
