// y[head, :] = the products of a matrix of the head's own with what the head attends to, by rows
// (heads/rows.wgsl), for a pass of one token whose attention is split: each workgroup merges its
// head's spans first (shaders/attention/merge.wgsl), 4 * value_quads numbers, the x_width of its
// input. y [heads, rows].
// Needs: merge.wgsl, lane_and_row and head_products (heads/rows.wgsl), control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 64u;

// What attention has lanes for.
const MOST_VALUE_QUADS = 128u;
// Of the pass, whose tokens share what is read of the weights.
const TOKENS = 1u;

struct Params {
  heads: u32,
  head_rows: u32,
  first_row: u32,
  rows: u32,
  head_cols: u32,
  x_width: u32,
  value_quads: u32,
  window: u32,
  span_keys: u32,
  splits: u32,
  has_sinks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<vec4f>;
@group(0) @binding(2) var<storage, read> sinks: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

var<workgroup> merged: array<vec4f, MOST_VALUE_QUADS>;

fn head_input(head: u32, quad: u32) -> vec4f {
  return merged[quad - head * params.value_quads];
}

fn store_product(token: u32, head: u32, index: u32, value: f32) {
  y[head * params.rows + index] = value;
}

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  if (control.fault != 0u) {
    return;
  }
  for (var quad = index; quad < params.value_quads; quad += LANES * ROWS) {
    merged[quad] = merged_quad(0u, group.y, quad);
  }
  workgroupBarrier();
  head_products(group.y, group.x, 0u, lane_and_row(index));
}
