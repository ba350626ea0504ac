// y[at] = scale * (dot(weight[row, :], x) + bias[at]) + residual[at], for one token
// where at = first_row + row. weight [rows, cols]; x [cols]; bias, residual and y [all_rows].
// Without has_bias, bias is not read; without has_residual, residual is not. A matrix in several
// buffers takes a dispatch for each.
// LANES lanes share a row, ROWS rows share a workgroup. cols is a multiple of 8.
// Needs: load_weights (shaders/formats), row_sum (shaders/reduce), control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 64u;

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
  if (control.fault != 0u) {
    return;
  }
  let wanted = (group.y * grid.x + group.x) * ROWS + local.y;
  // Rows past the end compute the last one again: all lanes have to reach the barriers of row_sum.
  let row = min(wanted, params.rows - 1u);
  let units = params.cols / 8u;
  let count = params.rows * params.cols;
  var sum = 0.0;
  for (var unit = local.x; unit < units; unit += LANES) {
    let w = load_weights(0u, count, row * units + unit);
    sum += dot(w[0], x[2u * unit]) + dot(w[1], x[2u * unit + 1u]);
  }
  let total = row_sum(sum, local.x, local.y);
  if (local.x == 0u && wanted < params.rows) {
    let index = params.first_row + row;
    var value = total;
    if (params.has_bias != 0u) {
      value += bias[index];
    }
    value *= params.scale;
    if (params.has_residual != 0u) {
      value += residual[index];
    }
    y[index] = value;
  }
}
