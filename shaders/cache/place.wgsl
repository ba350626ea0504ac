// Where a head's numbers lie in a cache. Quads are fours of numbers; a quad's words, and scales,
// are the format's matter.
struct Place {
  // Of the first four numbers, and from one four to the next.
  quad: u32,
  quad_step: u32,
  // The word of the scale of the first 32 numbers; the others follow.
  scale: u32,
}

// Keys lie in blocks of 8 rows, in which the fours of neighbouring rows stand side by side: lanes
// that take a key each read neighbouring words.
const KEY_BLOCK = 8u;

// The keys of a head. row_quads: fours of a row, head_quad: the first of the head's, both with what
// a head is padded by.
fn key_place(row: u32, row_quads: u32, head_quad: u32, scales_first: u32) -> Place {
  let block = row / KEY_BLOCK * row_quads + head_quad;
  let scale = scales_first + (row * row_quads + head_quad) / 8u;
  return Place(block * KEY_BLOCK + row % KEY_BLOCK, KEY_BLOCK, scale);
}

// The values of a head: row after row, from four number values_first on.
fn value_place(
  row: u32,
  row_quads: u32,
  head_quad: u32,
  values_first: u32,
  scales_first: u32,
) -> Place {
  let quad = row * row_quads + head_quad;
  return Place(values_first + quad, 1u, scales_first + quad / 8u);
}
