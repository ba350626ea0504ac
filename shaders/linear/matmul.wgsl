// y[token, at] = scale * (weight[row, :] . input[token, :] + bias[row]) + residual[token, at]
// where at = first_row + row, and input = x, or its RMS norm (shaders/linear/input).
// weight [rows, cols], x [tokens, cols], residual and y [tokens, all_rows]; cols is a multiple of
// 8. Without has_residual, residual is not read. A matrix in several buffers takes a dispatch for
// each.
// vectors: the norm's weights, if there is one, and the bias [rows], from where the params say.
// A lane has a tile of 4 rows and 8 tokens: each weight is decoded once for 8 tokens, each input
// read once for 4 rows. LANES lanes share a tile, ROWS tiles of the same tokens share a workgroup.
// x has room for a multiple of 8 tokens; what it holds past the last one reaches no other token.
// The sums of a token are added in the order of matvec.wgsl's.
// Needs: load_weights (shaders/formats), input_unit and unit_dot (unit), input_factor (input),
// row_sum4 (shaders/reduce), control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 16u;

const TOKENS = 8u;
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
@group(0) @binding(1) var<storage, read> x: array<InputElement>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

// A unit of weights of each of four rows.
struct Weights {
  a: WeightUnit,
  b: WeightUnit,
  c: WeightUnit,
  d: WeightUnit,
}

// A token's share of a tile: its products with the rows, and the squares of its input.
struct Share {
  sums: vec4f,
  squares: f32,
}

// `share` and what a unit of its token's input, which starts at quad `quad` of x, adds to it.
fn added(share: Share, w: Weights, quad: u32, unit: u32) -> Share {
  let input = input_unit(quad, unit);
  let sums = vec4f(
    unit_dot(w.a, input),
    unit_dot(w.b, input),
    unit_dot(w.c, input),
    unit_dot(w.d, input),
  );
  return Share(share.sums + sums, share.squares + input.squares);
}

// Adds up a token's share over the lanes, and writes what becomes of it.
fn finish(share: Share, row: u32, token: u32, lane: u32, group_row: u32) {
  let factor = input_factor(share.squares, lane, group_row);
  let totals = row_sum4(share.sums, lane, group_row);
  if (lane != 0u || token >= control.tokens) {
    return;
  }
  for (var i = 0u; i < 4u && row + i < params.rows; i++) {
    let place = row + i;
    var bias = 0.0;
    if (params.bias != NONE) {
      bias = vectors[(params.bias + place) / 4u][(params.bias + place) % 4u];
    }
    let at = token * params.all_rows + params.first_row + place;
    var rest = 0.0;
    if (params.has_residual != 0u) {
      rest = residual[at];
    }
    y[at] = fma(fma(totals[i], factor, bias), params.scale, rest);
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
  let units = params.cols / UNIT_COLS;
  let quads = params.cols / 4u;
  let count = params.rows * params.cols;
  let at = min(vec4u(row, row + 1u, row + 2u, row + 3u), vec4u(params.rows - 1u)) * units;
  // The same in the whole workgroup.
  let has_more = token + 4u < control.tokens;
  let quad = token * quads;
  var first = Share();
  var second = Share();
  var third = Share();
  var fourth = Share();
  var fifth = Share();
  var sixth = Share();
  var seventh = Share();
  var eighth = Share();
  for (var unit = local.x; unit < units; unit += LANES) {
    let w = Weights(
      load_weights(0u, count, at.x + unit),
      load_weights(0u, count, at.y + unit),
      load_weights(0u, count, at.z + unit),
      load_weights(0u, count, at.w + unit),
    );
    first = added(first, w, quad, unit);
    second = added(second, w, quad + quads, unit);
    third = added(third, w, quad + 2u * quads, unit);
    fourth = added(fourth, w, quad + 3u * quads, unit);
    if (has_more) {
      fifth = added(fifth, w, quad + 4u * quads, unit);
      sixth = added(sixth, w, quad + 5u * quads, unit);
      seventh = added(seventh, w, quad + 6u * quads, unit);
      eighth = added(eighth, w, quad + 7u * quads, unit);
    }
  }
  finish(first, row, token, local.x, local.y);
  finish(second, row, token + 1u, local.x, local.y);
  finish(third, row, token + 2u, local.x, local.y);
  finish(fourth, row, token + 3u, local.x, local.y);
  if (has_more) {
    finish(fifth, row, token + 4u, local.x, local.y);
    finish(sixth, row, token + 5u, local.x, local.y);
    finish(seventh, row, token + 6u, local.x, local.y);
    finish(eighth, row, token + 7u, local.x, local.y);
  }
}
