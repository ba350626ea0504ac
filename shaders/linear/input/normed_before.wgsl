// An input in blocks: its norm was taken before they were made (quantise.wgsl).
fn input_factor(squares: f32, lane: u32, row: u32) -> f32 {
  return 1.0;
}
