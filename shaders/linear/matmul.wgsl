// y[token, at] = scale * (weight[row, :] . input[token, :] + bias[row]) + residual[token, at]
// where at = first_row + row, and input = x, or its RMS norm (shaders/linear/input).
// weight [rows, cols], x [tokens, cols], residual and y [tokens, all_rows]; cols is a multiple of
// 8. Without has_residual, residual is not read. A matrix in several buffers takes a dispatch for
// each.
// vectors: the norm's weights, if there is one, and the bias [rows], from where the params say.
// A lane has a tile of 4 rows and 4 tokens: each weight is decoded once for 4 tokens, each input
// read once for 4 rows. LANES lanes share a tile, ROWS tiles of the same tokens share a workgroup.
// x has room for a multiple of 4 tokens; what it holds past the last one reaches no other token.
// The sums of a token are added in the order of matvec.wgsl's.
// Needs: load_weights (shaders/formats), squared, weighted and input_factor (input), row_sum4
// (shaders/reduce), control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 16u;

const TOKENS = 4u;
// Start of a bias that is not there.
const NONE = 0xffffffffu;

struct Params {
  rows: u32,
  cols: u32,
  bias: u32,
  first_row: u32,
  all_rows: u32,
  has_residual: u32,
  scale: f32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

// Eight numbers of a token's input.
struct Input {
  low: vec4f,
  high: vec4f,
  squares: f32,
}

fn input_at(quad: u32, unit: u32) -> Input {
  let low = x[quad];
  let high = x[quad + 1u];
  let squares = squared(low) + squared(high);
  return Input(weighted(low, 2u * unit), weighted(high, 2u * unit + 1u), squares);
}

fn unit_dot(w: array<vec4f, 2>, input: Input) -> f32 {
  return dot(w[0], input.low) + dot(w[1], input.high);
}

fn write(totals: vec4f, row: u32, token: u32) {
  if (token >= control.tokens) {
    return;
  }
  for (var i = 0u; i < 4u && row + i < params.rows; i++) {
    let place = row + i;
    var value = totals[i];
    if (params.bias != NONE) {
      value += vectors[(params.bias + place) / 4u][(params.bias + place) % 4u];
    }
    value *= params.scale;
    let at = token * params.all_rows + params.first_row + place;
    if (params.has_residual != 0u) {
      value += residual[at];
    }
    y[at] = value;
  }
}

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let token = group.z * TOKENS;
  if (control.fault != 0u || token >= control.tokens) {
    return;
  }
  // Rows past the end compute the last one again: all lanes have to reach the barriers of row_sum4.
  let row = ((group.y * grid.x + group.x) * ROWS + local.y) * 4u;
  let units = params.cols / 8u;
  let quads = params.cols / 4u;
  let count = params.rows * params.cols;
  let at = min(vec4u(row, row + 1u, row + 2u, row + 3u), vec4u(params.rows - 1u)) * units;
  var first = vec4f();
  var second = vec4f();
  var third = vec4f();
  var fourth = vec4f();
  var squares = vec4f();
  for (var unit = local.x; unit < units; unit += LANES) {
    let a = load_weights(0u, count, at.x + unit);
    let b = load_weights(0u, count, at.y + unit);
    let c = load_weights(0u, count, at.z + unit);
    let d = load_weights(0u, count, at.w + unit);
    let quad = token * quads + 2u * unit;
    let i = input_at(quad, unit);
    first += vec4f(unit_dot(a, i), unit_dot(b, i), unit_dot(c, i), unit_dot(d, i));
    let j = input_at(quad + quads, unit);
    second += vec4f(unit_dot(a, j), unit_dot(b, j), unit_dot(c, j), unit_dot(d, j));
    let k = input_at(quad + 2u * quads, unit);
    third += vec4f(unit_dot(a, k), unit_dot(b, k), unit_dot(c, k), unit_dot(d, k));
    let l = input_at(quad + 3u * quads, unit);
    fourth += vec4f(unit_dot(a, l), unit_dot(b, l), unit_dot(c, l), unit_dot(d, l));
    squares += vec4f(i.squares, j.squares, k.squares, l.squares);
  }
  let lane = local.x;
  let totals_first = row_sum4(first, lane, local.y) * input_factor(squares.x, lane, local.y);
  let totals_second = row_sum4(second, lane, local.y) * input_factor(squares.y, lane, local.y);
  let totals_third = row_sum4(third, lane, local.y) * input_factor(squares.z, lane, local.y);
  let totals_fourth = row_sum4(fourth, lane, local.y) * input_factor(squares.w, lane, local.y);
  if (lane == 0u) {
    write(totals_first, row, token);
    write(totals_second, row, token + 1u);
    write(totals_third, row, token + 2u);
    write(totals_fourth, row, token + 3u);
  }
}
