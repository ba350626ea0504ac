// gated(gate, up) = gate * (1 + tanh(u)) / 2 * up, u = sqrt(2 / pi) * (gate + 0.044715 * gate^3).
// (1 + tanh(u)) / 2 is 1 / (1 + exp(-2u)), which does not overflow as tanh may. See `silu.wgsl`.
// Source: ggml_gelu.
const TWICE_SQRT_2_OVER_PI = 1.5957691216057308;

fn gated(gate: f32, up: f32) -> f32 {
  let twice = TWICE_SQRT_2_OVER_PI * gate * fma(0.044715 * gate, gate, 1.0);
  return gate / (1.0 + exp(-twice)) * up;
}

fn is_closed(gate: f32) -> bool {
  return false;
}
