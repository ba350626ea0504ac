// y[i] = x[tokens - 1, i]      x [tokens, width], y [width]
// Needs: control (shaders/control).
override LANES: u32 = 64u;

struct Params {
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  if (control.fault != 0u || thread.x >= params.width) {
    return;
  }
  y[thread.x] = x[(control.tokens - 1u) * params.width + thread.x];
}
