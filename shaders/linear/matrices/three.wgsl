// See one.wgsl. The index is the same in a whole workgroup.
fn matrix_dots(index: u32, row: u32, first: u32, lane: u32) -> RowDots {
  if (index == 0u) {
    return row_dots_a(0u, params.rows_a, params.cols, row, first, lane);
  }
  if (index == 1u) {
    return row_dots_b(0u, params.rows_b, params.cols, row, first, lane);
  }
  return row_dots_c(0u, params.rows_c, params.cols, row, first, lane);
}
