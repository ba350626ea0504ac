// row_dots(base, rows, cols, row, first, lane): this lane's share of the products of four rows,
// from `row` on, of a matrix [rows, cols] that starts at word `base` of its buffer, with the input
// that starts at quad `first` of x. Rows past the last are the last one. Four rows share what is
// read of the input.
// Linked once for each matrix of a kernel, load_weights and row_dots under names of the matrix's
// (src/kernels/parts.ts).
// Needs: load_weights (shaders/formats), input_unit and unit_dot (unit), RowDots.
fn row_dots(base: u32, rows: u32, cols: u32, row: u32, first: u32, lane: u32) -> RowDots {
  let units = cols / UNIT_COLS;
  let count = rows * cols;
  let at = min(vec4u(row, row + 1u, row + 2u, row + 3u), vec4u(rows - 1u)) * units;
  var sums = vec4f();
  var squares = 0.0;
  for (var unit = lane; unit < units; unit += LANES) {
    let input = input_unit(first, unit);
    squares += input.squares;
    sums += vec4f(
      unit_dot(load_weights(base, count, at.x + unit), input),
      unit_dot(load_weights(base, count, at.y + unit), input),
      unit_dot(load_weights(base, count, at.z + unit), input),
      unit_dot(load_weights(base, count, at.w + unit), input),
    );
  }
  return RowDots(sums, squares);
}
