// The RMS norm of the input, whose weights [cols] are in the kernel's vectors. See plain.wgsl.
// The factor of a token is the same for all its products, so it is multiplied at their end. Where
// nothing is readied, as in kernels whose workgroups have several tokens, vectors begin with them.
// Needs: row_sum (shaders/reduce).
var<private> input_norm: u32;

fn ready_input(first: u32, norm: u32, lane: u32, row: u32) {
  input_norm = norm;
}

fn squared(raw: vec4f) -> f32 {
  return dot(raw, raw);
}

fn weighted(raw: vec4f, quad: u32) -> vec4f {
  return raw * vectors[input_norm + quad];
}

fn input_factor(squares: f32, lane: u32, row: u32) -> f32 {
  return inverseSqrt(row_sum(squares, lane, row) / f32(params.cols) + params.epsilon);
}
