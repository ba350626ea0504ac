// matrix_dots(index, row, first, lane): row_dots of matrix `index` of the kernel's.
fn matrix_dots(index: u32, row: u32, first: u32, lane: u32) -> RowDots {
  return row_dots_a(0u, params.rows_a, params.cols, row, first, lane);
}
