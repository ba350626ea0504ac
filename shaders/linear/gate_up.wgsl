// y[token, row] = gated(gate[row, :] . input[token, :], up[row, :] . input[token, :])
// gate and up [rows, cols], each in a buffer and format of its own; input = x, or a norm of it
// (shaders/linear/input), x [tokens, cols]; y [tokens, rows]. vectors: those of the norm, if any.
// LANES lanes share a tile of FOURS times four rows, FOURS being 1 or 2; ROWS tiles share a
// workgroup; a workgroup over y has a token. cols is a multiple of 8.
// Needs: row_dots_gate and row_dots_up (row_dots.wgsl), ready_input and input_factor (input),
// row_sum4 (shaders/reduce), gated (shaders/act), control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 16u;
override FOURS: u32 = 1u;

struct Params {
  rows: u32,
  cols: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<InputElement>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let token = group.y;
  if (control.fault != 0u || token >= control.tokens) {
    return;
  }
  let tile = (group.x * ROWS + local.y) * 4u * FOURS;
  let first = token * params.cols / 4u;
  ready_input(first, 0u, local.x, local.y);
  let gates = row_dots_gate(0u, params.rows, params.cols, tile, first, local.x);
  let ups = row_dots_up(0u, params.rows, params.cols, tile, first, local.x);
  let factor = input_factor(gates.squares, local.x, local.y);
  for (var four = 0u; four < FOURS; four++) {
    let gate = row_sum4(four_of(gates, four), local.x, local.y) * factor;
    let up = row_sum4(four_of(ups, four), local.x, local.y) * factor;
    let row = tile + 4u * four;
    for (var i = 0u; local.x == 0u && i < 4u && row + i < params.rows; i++) {
      y[token * params.rows + row + i] = gated(gate[i], up[i]);
    }
  }
}
