// y[token, :] = a[token, :] and behind it b[token, :]
// a [tokens, a_width], b [tokens, b_width], y [tokens, a_width + b_width] f32. One thread a number.
// Needs: control (shaders/control).
override LANES: u32 = 64u;

struct Params {
  a_width: u32,
  b_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let width = params.a_width + params.b_width;
  let token = thread.y;
  if (control.fault != 0u || token >= control.tokens || thread.x >= width) {
    return;
  }
  if (thread.x < params.a_width) {
    y[token * width + thread.x] = a[token * params.a_width + thread.x];
  } else {
    y[token * width + thread.x] = b[token * params.b_width + thread.x - params.a_width];
  }
}
