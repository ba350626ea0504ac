// y[i] = gated(gate[i], up[i])      gate, up and y [tokens, width]
// Needs: gated (shaders/act), control (shaders/control).
override LANES: u32 = 64u;

struct Params {
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gate: array<f32>;
@group(0) @binding(2) var<storage, read> up: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  if (control.fault != 0u || thread.x >= params.width || thread.y >= control.tokens) {
    return;
  }
  let index = thread.y * params.width + thread.x;
  y[index] = gated(gate[index], up[index]);
}
