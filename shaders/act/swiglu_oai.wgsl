// gated(gate, up) = x * sigmoid(1.702 * x) * (y + 1), x = min(gate, 7), y = up within [-7, 7].
// See `silu.wgsl`. Source: gpt-oss; ggml_swiglu_oai.
const LIMIT = 7.0;

fn gated(gate: f32, up: f32) -> f32 {
  let x = min(gate, LIMIT);
  let y = clamp(up, -LIMIT, LIMIT);
  return x / (1.0 + exp(-1.702 * x)) * (y + 1.0);
}

fn is_closed(gate: f32) -> bool {
  return false;
}
