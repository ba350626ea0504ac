// The control block of a pass, for the router, which sets `fault` (see read.wgsl).
struct Control {
  fault: atomic<u32>,
  tokens: u32,
  position: u32,
  reserved: u32,
  token_ids: array<u32>,
}

@group(2) @binding(0) var<storage, read_write> control: Control;
