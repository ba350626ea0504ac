// Shared experts' down [hidden, shared_ffn], in a buffer of its own.
fn shared_down_dots(row: u32, first: u32, lane: u32) -> RowDots {
  return row_dots_shared_down(0u, params.hidden, params.shared_ffn, row, first, lane);
}
