// y[token, head, col] =
//   sum over `rows` rows r of weight[head, first_row + r, col] * x[token, head, r]
// weight [heads, head_rows, cols]; x [tokens, heads, x_width], of which each head reads the first
// `rows`; y [tokens, heads, cols]. cols is a multiple of 8.
// A thread has 8 columns, ROWS threads side by side read neighbouring words; LANES threads share
// the rows. TOKENS is 1 or 4: how many tokens a decoded weight serves. x has room for a multiple
// of TOKENS tokens.
// Needs: load_weights (shaders/formats), row_sum4 (shaders/reduce), control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 64u;
override TOKENS: u32 = 1u;

const MAX_TOKENS = 4u;

struct Params {
  heads: u32,
  head_rows: u32,
  first_row: u32,
  rows: u32,
  cols: u32,
  x_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(ROWS, LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let first_token = group.z * TOKENS;
  if (control.fault != 0u || first_token >= control.tokens) {
    return;
  }
  let head = group.y;
  let units = params.cols / 8u;
  let wanted = group.x * ROWS + local.x;
  // Units past the end compute the last one again: all have to reach the barriers of row_sum4.
  let unit = min(wanted, units - 1u);
  let count = params.heads * params.head_rows * params.cols;
  let first_unit = (head * params.head_rows + params.first_row) * units + unit;
  // From a token to the next.
  let stride = params.heads * params.x_width;
  let first = first_token * stride + head * params.x_width;
  var lower: array<vec4f, MAX_TOKENS>;
  var upper: array<vec4f, MAX_TOKENS>;
  for (var row = local.y; row < params.rows; row += LANES) {
    let w = load_weights(0u, count, first_unit + row * units);
    for (var tile = 0u; tile < TOKENS; tile++) {
      let value = x[first + tile * stride + row];
      lower[tile] += w[0] * value;
      upper[tile] += w[1] * value;
    }
  }
  for (var tile = 0u; tile < TOKENS; tile++) {
    let low = row_sum4(lower[tile], local.y, local.x);
    let high = row_sum4(upper[tile], local.y, local.x);
    let token = first_token + tile;
    if (local.y == 0u && wanted < units && token < control.tokens) {
      let at = ((token * params.heads + head) * units + unit) * 2u;
      y[at] = low;
      y[at + 1u] = high;
    }
  }
}
