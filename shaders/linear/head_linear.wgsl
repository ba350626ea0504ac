// y[token, head, row] = dot(weight[head, first_row + row, :], x[token, head, 0 .. cols])
// weight [heads, head_rows, cols], of whose rows each head uses `rows`; x [tokens, heads, x_width],
// of which each head reads the first `cols`; y [tokens, heads, rows]. cols is a multiple of 8,
// x_width of 4.
// LANES lanes share a row, ROWS rows share a workgroup. TOKENS is 1 or 4: how many tokens a decoded
// weight serves. x has room for a multiple of TOKENS tokens.
// Needs: load_weights (shaders/formats), row_sum4 (shaders/reduce), control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 64u;
override TOKENS: u32 = 1u;

struct Params {
  heads: u32,
  head_rows: u32,
  first_row: u32,
  rows: u32,
  cols: u32,
  x_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let first_token = group.z * TOKENS;
  if (control.fault != 0u || first_token >= control.tokens) {
    return;
  }
  let head = group.y;
  let wanted = group.x * ROWS + local.y;
  // Rows past the end compute the last one again: all lanes have to reach the barriers of row_sum4.
  let row = min(wanted, params.rows - 1u);
  let units = params.cols / 8u;
  let count = params.heads * params.head_rows * params.cols;
  let first_unit = (head * params.head_rows + params.first_row + row) * units;
  // From a token to the next.
  let quads = params.heads * (params.x_width / 4u);
  let first = first_token * quads + head * (params.x_width / 4u);
  var sums = vec4f();
  for (var unit = local.x; unit < units; unit += LANES) {
    let w = load_weights(0u, count, first_unit + unit);
    let at = first + 2u * unit;
    sums.x += dot(w[0], x[at]) + dot(w[1], x[at + 1u]);
    if (TOKENS > 1u) {
      sums += vec4f(
        0.0,
        dot(w[0], x[at + quads]) + dot(w[1], x[at + quads + 1u]),
        dot(w[0], x[at + 2u * quads]) + dot(w[1], x[at + 2u * quads + 1u]),
        dot(w[0], x[at + 3u * quads]) + dot(w[1], x[at + 3u * quads + 1u]),
      );
    }
  }
  let totals = row_sum4(sums, local.x, local.y);
  if (local.x != 0u || wanted >= params.rows) {
    return;
  }
  for (var tile = 0u; tile < TOKENS; tile++) {
    let token = first_token + tile;
    if (token < control.tokens) {
      y[(token * params.heads + head) * params.rows + row] = totals[tile];
    }
  }
}
