// gated(gate, up) = max(gate, 0) * up. See `silu.wgsl`.
fn gated(gate: f32, up: f32) -> f32 {
  return max(gate, 0.0) * up;
}

fn is_closed(gate: f32) -> bool {
  return gate <= 0.0;
}
