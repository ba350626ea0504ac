// y = a + b, or with gated, y[token, :] = a[token, :] + sigmoid(gate[token]) * b[token, :]
// a, b and y [tokens, width]; gate [tokens, 1].
// Needs: control (shaders/control).
override LANES: u32 = 64u;

struct Params {
  width: u32,
  gated: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> gate: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let token = thread.y;
  if (control.fault != 0u || thread.x >= params.width || token >= control.tokens) {
    return;
  }
  var share = 1.0;
  if (params.gated != 0u) {
    share = 1.0 / (1.0 + exp(-gate[token]));
  }
  let index = token * params.width + thread.x;
  y[index] = fma(share, b[index], a[index]);
}
