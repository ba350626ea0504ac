// A norm (normed.wgsl) of a row of residual and the RMS norm of x, whose weights [cols] lie behind
// those of the norm. x and residual have one width.
// Needs: row_statistics (shaders/norm).
var<private> input_norm: u32;
var<private> summand_scale: f32;

fn ready_input(first: u32, norm: u32, lane: u32, row: u32) {
  let quads = params.cols / 4u;
  input_norm = norm;
  summand_scale = row_statistics(first, quads, false, params.epsilon, row * LANES + lane).y;
}

fn raw_input(at: u32, quad: u32) -> vec4f {
  return x[at] * summand_scale * vectors[input_norm + params.cols / 4u + quad] + residual[at];
}
