// The products of a unit of one row, 8 weights, with the same columns of four inputs, added as
// matvec adds them: so a result's bits do not depend on what shares its tile.
// low and high: columns 0 to 3 and 4 to 7 of each input.
fn tile_dots(w: array<vec4f, 2>, low: array<vec4f, 4>, high: array<vec4f, 4>) -> vec4f {
  return vec4f(
    dot(w[0], low[0]) + dot(w[1], high[0]),
    dot(w[0], low[1]) + dot(w[1], high[1]),
    dot(w[0], low[2]) + dot(w[1], high[2]),
    dot(w[0], low[3]) + dot(w[1], high[3]),
  );
}
