// y[token, i] = x[token, i] / sqrt(mean(x[token, :]^2) + epsilon) * weight[i]
// With FINISHES 1: y[token, i] = (that + residual[token, i]) * scale[0]; without
// has_residual, residual is not read, without has_scale, scale is not. FINISHES 0 reads neither.
// x, residual and y [tokens, width]; weight [width]; scale [1]; all f32. One workgroup a token.
// width is a multiple of 4.
// Needs: row_sum (shaders/reduce), control (shaders/control).
override LANES: u32 = 64u;
override ROWS: u32 = 1u;
override FINISHES: u32 = 0u;

struct Params {
  width: u32,
  epsilon: f32,
  has_residual: u32,
  has_scale: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> residual: array<vec4f>;
@group(0) @binding(4) var<storage, read> scale: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;

fn finished(normed: vec4f, index: u32) -> vec4f {
  var value = normed;
  if (params.has_residual != 0u) {
    value += residual[index];
  }
  if (params.has_scale != 0u) {
    value *= scale[0];
  }
  return value;
}

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
  var squares = 0.0;
  for (var quad = lane; quad < quads; quad += LANES) {
    let value = x[first + quad];
    squares += dot(value, value);
  }
  let mean = row_sum(squares, lane, 0u) / f32(params.width);
  let norm = inverseSqrt(mean + params.epsilon);
  for (var quad = lane; quad < quads; quad += LANES) {
    let value = x[first + quad] * norm * weight[quad];
    if (FINISHES == 1u) {
      y[first + quad] = finished(value, first + quad);
    } else {
      y[first + quad] = value;
    }
  }
}
