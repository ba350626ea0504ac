// A layer without shared experts. See gate_up.wgsl.
fn shared_gate_dots(row: u32, first: u32, lane: u32) -> RowDots {
  return RowDots();
}

fn shared_up_dots(row: u32, first: u32, lane: u32) -> RowDots {
  return RowDots();
}
