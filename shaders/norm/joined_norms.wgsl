// y = (norm(norm(a) * weight_a + norm(b) * weight_b) * weight + residual) * scale[0]
// where norm(x) = x / sqrt(mean(x^2) + epsilon), over each token's row. Without has_residual,
// residual is not read, without has_scale, scale is not.
// a, b, residual and y [tokens, width], b from quad b_first of its buffer on; weights: weight_a,
// weight_b and weight, each [width]; scale [1]; all f32. One workgroup a token. width is a multiple
// of 4.
// Needs: row_sum (shaders/reduce), control (shaders/control).
override LANES: u32 = 64u;
override ROWS: u32 = 1u;

struct Params {
  width: u32,
  b_first: u32,
  epsilon: f32,
  has_residual: u32,
  has_scale: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read> weights: array<vec4f>;
@group(0) @binding(4) var<storage, read> residual: array<vec4f>;
@group(0) @binding(5) var<storage, read> scale: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<vec4f>;

// What a row is multiplied by, from this lane's share of its squares.
fn factor_of(squares: f32, lane: u32) -> f32 {
  return inverseSqrt(row_sum(squares, lane, 0u) / f32(params.width) + params.epsilon);
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
  var squares_a = 0.0;
  var squares_b = 0.0;
  for (var quad = lane; quad < quads; quad += LANES) {
    let value_a = a[first + quad];
    let value_b = b[params.b_first + first + quad];
    squares_a += dot(value_a, value_a);
    squares_b += dot(value_b, value_b);
  }
  let factor_a = factor_of(squares_a, lane);
  let factor_b = factor_of(squares_b, lane);
  var squares = 0.0;
  for (var quad = lane; quad < quads; quad += LANES) {
    let at = first + quad;
    // Each lane reads again what it wrote.
    let value_b = b[params.b_first + at] * factor_b * weights[quads + quad];
    let sum = a[at] * factor_a * weights[quad] + value_b;
    y[at] = sum;
    squares += dot(sum, sum);
  }
  let factor = factor_of(squares, lane);
  for (var quad = lane; quad < quads; quad += LANES) {
    let at = first + quad;
    var value = y[at] * factor * weights[2u * quads + quad];
    if (params.has_residual != 0u) {
      value += residual[at];
    }
    if (params.has_scale != 0u) {
      value *= scale[0];
    }
    y[at] = value;
  }
}
