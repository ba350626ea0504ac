// The layer norm of the input: its weights [cols], then its biases [cols], are in the kernel's
// vectors. Or, where INPUT_CENTRED is false, an RMS norm with biases. See plain.wgsl.
// A kernel reads one row of x, which it names before: the whole of it decides each number.
// Needs: row_statistics (shaders/norm), INPUT_CENTRED (centred.wgsl, uncentred.wgsl).
var<private> input_norm: u32;
var<private> input_statistics: vec2f;

fn ready_input(first: u32, norm: u32, lane: u32, row: u32) {
  input_norm = norm;
  input_statistics = row_statistics(
    first, params.cols / 4u, INPUT_CENTRED, params.epsilon, row * LANES + lane,
  );
}

fn raw_input(at: u32, quad: u32) -> vec4f {
  return x[at];
}

fn squared(raw: vec4f) -> f32 {
  return 0.0;
}

fn weighted(raw: vec4f, quad: u32) -> vec4f {
  let at = input_norm + quad;
  let value = (raw - input_statistics.x) * input_statistics.y;
  return value * vectors[at] + vectors[at + params.cols / 4u];
}

fn input_factor(squares: f32, lane: u32, row: u32) -> f32 {
  return 1.0;
}
