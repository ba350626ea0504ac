// A layer without shared experts. See down.wgsl.
fn shared_down_dots(row: u32, first: u32, lane: u32) -> RowDots {
  return RowDots();
}
