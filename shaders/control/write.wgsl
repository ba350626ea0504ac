// The control block of a pass, for routers, which set `fault`, and for what ends a pass (see
// read.wgsl).
struct Control {
  fault: atomic<u32>,
  tokens: u32,
  position: u32,
  continues: u32,
  token_ids: array<u32>,
}

@group(2) @binding(0) var<storage, read_write> control: Control;
