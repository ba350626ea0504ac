// y[token, i] = (x[token, i] - mean) / sqrt(variance + epsilon) * weight[i] + bias[i],
// mean and variance over x[token, :]. Without centred the mean is taken for 0: an RMS norm with a
// bias.
// x and y [tokens, width]; weight_bias [2, width]: weight, then bias; all f32. One workgroup a
// token. width is a multiple of 4.
// Needs: row_statistics (statistics.wgsl), control (shaders/control).
override LANES: u32 = 64u;
override ROWS: u32 = 1u;

struct Params {
  width: u32,
  epsilon: f32,
  centred: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight_bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = group.x;
  if (control.fault != 0u || token >= control.tokens) {
    return;
  }
  let quads = params.width / 4u;
  let first = token * quads;
  let statistics = row_statistics(first, quads, params.centred != 0u, params.epsilon, lane);
  for (var quad = lane; quad < quads; quad += LANES) {
    let value = (x[first + quad] - statistics.x) * statistics.y;
    y[first + quad] = value * weight_bias[quad] + weight_bias[quads + quad];
  }
}
