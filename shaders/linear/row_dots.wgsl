// row_dots(base, rows, cols, row, first, lane): this lane's share of the products of FOURS times
// four rows, from `row` on, of a matrix [rows, cols] that starts at word `base` of its buffer, with
// the input that starts at quad `first` of x. Rows past the last are the last one. The rows share
// what is read of the input.
// Linked once for each matrix of a kernel, load_weights and row_dots under names of the matrix's
// (src/kernels/parts.ts).
// Needs: load_weights (shaders/formats), squared and weighted (shaders/linear/input), RowDots.
fn row_dots(base: u32, rows: u32, cols: u32, row: u32, first: u32, lane: u32) -> RowDots {
  let units = cols / 8u;
  let count = rows * cols;
  let four = vec4u(row, row + 1u, row + 2u, row + 3u);
  let at = min(four, vec4u(rows - 1u)) * units;
  let more_at = min(four + 4u, vec4u(rows - 1u)) * units;
  var sums = vec4f();
  var more = vec4f();
  var squares = 0.0;
  for (var unit = lane; unit < units; unit += LANES) {
    let raw_low = x[first + 2u * unit];
    let raw_high = x[first + 2u * unit + 1u];
    squares += squared(raw_low) + squared(raw_high);
    let low = weighted(raw_low, 2u * unit);
    let high = weighted(raw_high, 2u * unit + 1u);
    sums += row_dots_four(base, count, at + unit, low, high);
    if (FOURS == 2u) {
      more += row_dots_four(base, count, more_at + unit, low, high);
    }
  }
  return RowDots(sums, more, squares);
}

// The products of units `at` of four rows with eight numbers.
fn row_dots_four(base: u32, count: u32, at: vec4u, low: vec4f, high: vec4f) -> vec4f {
  let a = load_weights(base, count, at.x);
  let b = load_weights(base, count, at.y);
  let c = load_weights(base, count, at.z);
  let d = load_weights(base, count, at.w);
  return vec4f(
    dot(a[0], low) + dot(a[1], high),
    dot(b[0], low) + dot(b[1], high),
    dot(c[0], low) + dot(c[1], high),
    dot(d[0], low) + dot(d[1], high),
  );
}
