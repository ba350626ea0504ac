// row_sum(value, lane, row) = sum of `value` over the LANES lanes of a row; row_barrier() waits for
// the row's lanes and makes what they wrote seen.
// Here LANES is 1: nothing to add, no barrier.
fn row_sum(value: f32, lane: u32, row: u32) -> f32 {
  return value;
}

fn row_sum4(value: vec4f, lane: u32, row: u32) -> vec4f {
  return value;
}

fn row_barrier() {
}
