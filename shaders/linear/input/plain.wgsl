// The input of a product as it is. Every part here supplies the same functions: a kernel whose
// workgroups have one token each first says which row of x it reads, and from which quad of its
// vectors on the norm's lie: ready_input(first, norm, lane, row), which all its invocations call.
// It reads quad `quad` of the row, which is quad `at` of x, as raw = raw_input(at, quad) and
// weighted(raw, quad), sums squared(raw) of all of them, and multiplies its products by
// input_factor of that sum.
fn ready_input(first: u32, norm: u32, lane: u32, row: u32) {
}

fn raw_input(at: u32, quad: u32) -> vec4f {
  return x[at];
}

fn squared(raw: vec4f) -> f32 {
  return 0.0;
}

fn weighted(raw: vec4f, quad: u32) -> vec4f {
  return raw;
}

fn input_factor(squares: f32, lane: u32, row: u32) -> f32 {
  return 1.0;
}
