// An input in blocks: its norm was taken before they were made (quantise.wgsl).
fn ready_input(first: u32, norm: u32, lane: u32, row: u32) {
}

fn input_factor(squares: f32, lane: u32, row: u32) -> f32 {
  return 1.0;
}
