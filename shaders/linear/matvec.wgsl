// y[token, at] = scale * (weight[row, :] . input[token, :] + bias[row]) + residual[token, at]
// for one to three matrices weight [rows_a, cols], [rows_b, cols] and [rows_c, cols] of one input,
// whose results stand side by side: at = first_row + row for the first, and so on behind it.
// input = x, or a norm of it (shaders/linear/input). x [tokens, cols]; residual and y
// [tokens, all_rows]; without has_residual, residual is not read.
// vectors: those of the norm, if there is one, and biases, from where the params say.
// LANES lanes share a tile of FOURS times four rows, FOURS being 1 or 2; ROWS tiles share a
// workgroup, which has rows of one matrix. cols is a multiple of 8. Workgroups over x and y are
// rows, over z tokens.
// Needs: row_dots of each matrix (row_dots.wgsl), matrix_dots (matrices), ready_input and
// input_factor (input), row_sum4 (shaders/reduce), control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 16u;
override FOURS: u32 = 1u;

// Start of a bias that is not there.
const NONE = 0xffffffffu;

struct Params {
  cols: u32,
  rows_a: u32,
  rows_b: u32,
  rows_c: u32,
  bias_a: u32,
  bias_b: u32,
  bias_c: u32,
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

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let token = group.z;
  if (control.fault != 0u || token >= control.tokens) {
    return;
  }
  let group_rows = 4u * FOURS * ROWS;
  var index = 0u;
  var place = group.y * grid.x + group.x;
  var rows = params.rows_a;
  var first_row = params.first_row;
  var bias = params.bias_a;
  let groups_a = (params.rows_a + group_rows - 1u) / group_rows;
  if (place >= groups_a && params.rows_b > 0u) {
    index = 1u;
    place -= groups_a;
    first_row += rows;
    rows = params.rows_b;
    bias = params.bias_b;
    let groups_b = (rows + group_rows - 1u) / group_rows;
    if (place >= groups_b && params.rows_c > 0u) {
      index = 2u;
      place -= groups_b;
      first_row += rows;
      rows = params.rows_c;
      bias = params.bias_c;
    }
  }
  // Rows past the end compute the last one again: all lanes have to reach the barriers of row_sum4.
  let tile = (place * ROWS + local.y) * 4u * FOURS;
  let first = token * params.cols / 4u;
  ready_input(first, 0u, local.x, local.y);
  let dots = matrix_dots(index, tile, first, local.x);
  let factor = input_factor(dots.squares, local.x, local.y);
  for (var four = 0u; four < FOURS; four++) {
    let sums = row_sum4(four_of(dots, four), local.x, local.y);
    let row = tile + 4u * four;
    for (var i = 0u; local.x == 0u && i < 4u && row + i < rows; i++) {
      var own_bias = 0.0;
      if (bias != NONE) {
        own_bias = vectors[(bias + row + i) / 4u][(bias + row + i) % 4u];
      }
      let at = token * params.all_rows + first_row + row + i;
      var rest = 0.0;
      if (params.has_residual != 0u) {
        rest = residual[at];
      }
      y[at] = fma(fma(sums[i], factor, own_bias), params.scale, rest);
    }
  }
}
