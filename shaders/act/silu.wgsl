// gated(gate, up) = gate * sigmoid(gate) * up. Every activation supplies the same function.
fn gated(gate: f32, up: f32) -> f32 {
  return gate / (1.0 + exp(-gate)) * up;
}
