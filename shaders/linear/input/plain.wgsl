// The input of a product as it is. Every part here supplies the same functions: a kernel reads
// quad `quad` of a token's input as weighted(raw, quad), sums squared(raw) of all of them, and
// multiplies its products by input_factor of that sum.
fn squared(raw: vec4f) -> f32 {
  return 0.0;
}

fn weighted(raw: vec4f, quad: u32) -> vec4f {
  return raw;
}

fn input_factor(squares: f32, lane: u32, row: u32) -> f32 {
  return 1.0;
}
