// The RMS norm of the input, whose weights [cols] are in the kernel's vectors. See plain.wgsl.
// The factor of a token is the same for all its products, so it is multiplied at their end.
// Needs: input_norm and raw_input (own_row.wgsl, summed_row.wgsl), row_sum (shaders/reduce).
fn squared(raw: vec4f) -> f32 {
  return fused_dot(raw, raw);
}

fn weighted(raw: vec4f, quad: u32) -> vec4f {
  return raw * vectors[input_norm + quad];
}

fn input_factor(squares: f32, lane: u32, row: u32) -> f32 {
  return inverseSqrt(row_sum(squares, lane, row) / f32(params.cols) + params.epsilon);
}
