// The control block of a pass, for kernels that only obey it.
// fault: 0, or 1 + the index of the MoE layer whose router chose an absent expert: then do nothing.
// tokens: how many tokens the pass has; position: of its first; token_ids: [tokens].
struct Control {
  fault: u32,
  tokens: u32,
  position: u32,
  reserved: u32,
  token_ids: array<u32>,
}

@group(2) @binding(0) var<storage, read> control: Control;
