// Shared experts' gate and up [shared_ffn, hidden], in buffers of their own.
fn shared_gate_dots(row: u32, first: u32, lane: u32) -> RowDots {
  return row_dots_shared_gate(0u, params.shared_ffn, params.cols, row, first, lane);
}

fn shared_up_dots(row: u32, first: u32, lane: u32) -> RowDots {
  return row_dots_shared_up(0u, params.shared_ffn, params.cols, row, first, lane);
}
