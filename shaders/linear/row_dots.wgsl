// row_dots(base, rows, cols, row, first, lane): this lane's share of the products of four rows,
// from `row` on, of a matrix [rows, cols] that starts at word `base` of its buffer, with the input
// that starts at quad `first` of x. Rows past the last are the last one. Four rows share what is
// read of the input.
// Linked once for each matrix of a kernel, load_weights and row_dots under names of the matrix's
// (src/kernels/parts.ts).
// Needs: load_weights (shaders/formats), squared and weighted (shaders/linear/input), RowDots.
fn row_dots(base: u32, rows: u32, cols: u32, row: u32, first: u32, lane: u32) -> RowDots {
  let units = cols / 8u;
  let count = rows * cols;
  let at = min(vec4u(row, row + 1u, row + 2u, row + 3u), vec4u(rows - 1u)) * units;
  var sums = vec4f();
  var squares = 0.0;
  for (var unit = lane; unit < units; unit += LANES) {
    let raw_low = x[first + 2u * unit];
    let raw_high = x[first + 2u * unit + 1u];
    squares += squared(raw_low) + squared(raw_high);
    let low = weighted(raw_low, 2u * unit);
    let high = weighted(raw_high, 2u * unit + 1u);
    let a = load_weights(base, count, at.x + unit);
    let b = load_weights(base, count, at.y + unit);
    let c = load_weights(base, count, at.z + unit);
    let d = load_weights(base, count, at.w + unit);
    sums += vec4f(
      dot(a[0], low) + dot(a[1], high),
      dot(b[0], low) + dot(b[1], high),
      dot(c[0], low) + dot(c[1], high),
      dot(d[0], low) + dot(d[1], high),
    );
  }
  return RowDots(sums, squares);
}
