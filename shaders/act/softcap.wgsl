// y[i] = cap * tanh(x[i] / cap)      x and y [tokens, width]
// Needs: control (shaders/control).
override LANES: u32 = 64u;

struct Params {
  width: u32,
  cap: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * grid.x + group.x) * LANES + lane;
  let token = group.z;
  if (control.fault != 0u || i >= params.width || token >= control.tokens) {
    return;
  }
  let index = token * params.width + i;
  let value = x[index] / params.cap;
  // tanh of a large number is not a number on some adapters; this exp is at most 1.
  let shrunk = exp(-2.0 * abs(value));
  y[index] = sign(value) * params.cap * (1.0 - shrunk) / (1.0 + shrunk);
}
