// The control block of a pass, for kernels that only obey it.
// fault: 0, or why there is nothing to do: 1 + the index of the MoE layer whose router chose an
// absent expert, or STOPPED behind the end of a text (shaders/sample/give.wgsl). The router of that
// layer alone still runs, in passes behind it too: it reads what it read, and chooses the same.
// tokens: how many tokens the pass has; position: of its first; continues: whether the token chosen
// behind the pass is what the next pass computes; token_ids: [tokens].
struct Control {
  fault: u32,
  tokens: u32,
  position: u32,
  continues: u32,
  token_ids: array<u32>,
}

@group(2) @binding(0) var<storage, read> control: Control;
