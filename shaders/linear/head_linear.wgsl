// y[token, head, :] = the products of a matrix of the head's own with x[token, head, :], by rows
// or, transposed, by columns: heads/rows.wgsl says what x and the weights are.
// y [tokens, heads, rows], by columns [tokens, heads, head_cols]. Each invocation gives OUTPUTS of
// them: 1 by rows, 8 by columns.
// Needs: lane_and_row and head_products (heads), control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 64u;
override TOKENS: u32 = 1u;
override OUTPUTS: u32 = 1u;

struct Params {
  heads: u32,
  head_rows: u32,
  first_row: u32,
  rows: u32,
  head_cols: u32,
  x_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn head_input(head: u32, index: u32) -> vec4f {
  return x[index];
}

fn store_product(token: u32, head: u32, index: u32, value: f32) {
  let outputs = select(params.rows, params.head_cols, OUTPUTS > 1u);
  y[(token * params.heads + head) * outputs + index] = value;
}

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let first_token = group.z * TOKENS;
  if (control.fault != 0u || first_token >= control.tokens) {
    return;
  }
  head_products(group.y, group.x, first_token, lane_and_row(index));
}
