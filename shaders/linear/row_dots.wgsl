// row_dots(base, rows, cols, row, first, lane): this lane's share of the products of FOURS times
// four rows, from `row` on, of a matrix [rows, cols] that starts at word `base` of its buffer, with
// the input that starts at quad `first` of x. Rows past the last are the last one. The rows share
// what is read of the input.
// row_dots_scaled.wgsl is linked in its place where it suits the matrix's format.
// Linked once for each matrix of a kernel, load_weights and row_dots under names of the matrix's
// (src/kernels/parts.ts).
// Needs: load_weights (shaders/formats), input_unit and unit_dot (unit), RowDots.
fn row_dots(base: u32, rows: u32, cols: u32, row: u32, first: u32, lane: u32) -> RowDots {
  let units = cols / UNIT_COLS;
  let count = rows * cols;
  let four = vec4u(row, row + 1u, row + 2u, row + 3u);
  let at = min(four, vec4u(rows - 1u)) * units;
  let more_at = min(four + 4u, vec4u(rows - 1u)) * units;
  var sums = vec4f();
  var more = vec4f();
  var squares = 0.0;
  for (var unit = lane; unit < units; unit += LANES) {
    let input = input_unit(first, unit);
    squares += input.squares;
    sums += row_dots_four(base, count, at + unit, input);
    if (FOURS == 2u) {
      more += row_dots_four(base, count, more_at + unit, input);
    }
  }
  return RowDots(sums, more, squares);
}

// The products of units `at` of four rows with a unit of the input.
fn row_dots_four(base: u32, count: u32, at: vec4u, input: InputUnit) -> vec4f {
  return vec4f(
    unit_dot(load_weights(base, count, at.x), input),
    unit_dot(load_weights(base, count, at.y), input),
    unit_dot(load_weights(base, count, at.z), input),
    unit_dot(load_weights(base, count, at.w), input),
  );
}
