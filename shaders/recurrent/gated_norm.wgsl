// y[token, g, i] = v[i] / sqrt(mean(v^2) + epsilon) * weight[g, i]
// where v[i] = gated(gates[token, g, i], x[token, g, i])
// x and y [tokens, groups, width]; gates [tokens, gates_width], of which the first groups * width
// columns count; weight [groups, width]. One workgroup for each group and token.
// Needs: gated (shaders/act), row_sum (shaders/reduce), control (shaders/control).
override LANES: u32 = 64u;
override ROWS: u32 = 1u;

struct Params {
  groups: u32,
  width: u32,
  gates_width: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gates: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = group.y;
  if (control.fault != 0u || token >= control.tokens) {
    return;
  }
  let in_token = group.x * params.width;
  let first = token * params.groups * params.width + in_token;
  let gates_first = token * params.gates_width + in_token;
  var squares = 0.0;
  for (var i = lane; i < params.width; i += LANES) {
    let value = gated(gates[gates_first + i], x[first + i]);
    // Kept for the second walk: each lane reads back only what it wrote.
    y[first + i] = value;
    squares += value * value;
  }
  let mean = row_sum(squares, lane, 0u) / f32(params.width);
  let scale = inverseSqrt(mean + params.epsilon);
  for (var i = lane; i < params.width; i += LANES) {
    y[first + i] = y[first + i] * scale * weight[in_token + i];
  }
}
