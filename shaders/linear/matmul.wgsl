// y[token, at] = scale * (weight[row, :] . x[token, :] + bias[at]) + residual[token, at]
// where at = first_row + row. weight [rows, cols], x [tokens, cols], bias [all_rows], residual and
// y [tokens, all_rows]; cols is a multiple of 8. Without has_bias, bias is not read; without
// has_residual, residual is not. A matrix in several buffers takes a dispatch for each.
// Each weight is decoded once for 4 tokens. LANES lanes share a row, ROWS rows share a workgroup. x
// has room for a multiple of 4 tokens; what it holds past the last one reaches no other token.
// Needs: load_weights (shaders/formats), row_sum4 (shaders/reduce), control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 64u;

const TOKENS = 4u;

struct Params {
  rows: u32,
  cols: u32,
  has_bias: u32,
  has_residual: u32,
  first_row: u32,
  all_rows: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let first_token = group.z * TOKENS;
  if (control.fault != 0u || first_token >= control.tokens) {
    return;
  }
  let wanted = (group.y * grid.x + group.x) * ROWS + local.y;
  // Rows past the end compute the last one again: all lanes have to reach the barriers of row_sum4.
  let row = min(wanted, params.rows - 1u);
  let units = params.cols / 8u;
  let quads = params.cols / 4u;
  let count = params.rows * params.cols;
  let first = first_token * quads;
  var sums = vec4f();
  for (var unit = local.x; unit < units; unit += LANES) {
    let w = load_weights(0u, count, row * units + unit);
    let at = first + 2u * unit;
    sums += vec4f(
      dot(w[0], x[at]) + dot(w[1], x[at + 1u]),
      dot(w[0], x[at + quads]) + dot(w[1], x[at + quads + 1u]),
      dot(w[0], x[at + 2u * quads]) + dot(w[1], x[at + 2u * quads + 1u]),
      dot(w[0], x[at + 3u * quads]) + dot(w[1], x[at + 3u * quads + 1u]),
    );
  }
  let totals = row_sum4(sums, local.x, local.y);
  if (local.x != 0u || wanted >= params.rows) {
    return;
  }
  for (var tile = 0u; tile < TOKENS; tile++) {
    let token = first_token + tile;
    if (token < control.tokens) {
      let index = token * params.all_rows + params.first_row + row;
      var value = totals[tile];
      if (params.has_bias != 0u) {
        value += bias[params.first_row + row];
      }
      value *= params.scale;
      if (params.has_residual != 0u) {
        value += residual[index];
      }
      y[index] = value;
    }
  }
}
