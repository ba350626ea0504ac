// Readies queries, keys and values of one layer of multi-head latent attention (latent.wgsl).
// x: queries, [tokens, heads, x_width]; their products with the matrix of keys (it is absorbed) are
// `rank` numbers, by rows or columns (shaders/linear/heads/rows.wgsl says what x and the weights
// are). kv [tokens, rank + rope_dims], from number kv_first of the buffer on; norm [rank].
// Workgroups over y are the heads and, behind them, one for the row of the cache; over x they share
// a head's products, of which each invocation gives OUTPUTS; over z they have TOKENS tokens each.
// Needs: latent.wgsl, lane_and_row and head_products (shaders/linear/heads), control
// (shaders/control).
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
  kv_first: u32,
  rank: u32,
  rope_dims: u32,
  cache_rows: u32,
  row_quads: u32,
  scales: u32,
  pairing: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> kv: array<f32>;
@group(0) @binding(3) var<storage, read> norm: array<f32>;
@group(0) @binding(4) var<storage, read> table: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> q_out: array<f32>;
@group(0) @binding(6) var<storage, read_write> cache: array<Cached>;

fn head_input(head: u32, index: u32) -> vec4f {
  return x[index];
}

fn kv_number(index: u32) -> f32 {
  return kv[params.kv_first + index];
}

fn kv_weight(i: u32) -> f32 {
  return norm[i];
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
  let at = lane_and_row(index);
  let head = group.y;
  if (head < params.heads) {
    head_products(head, group.x, first_token, at);
  }
  if (group.x != 0u) {
    return;
  }
  for (var next = 0u; next < TOKENS; next++) {
    let token = first_token + next;
    if (token >= control.tokens) {
      return;
    }
    if (head < params.heads) {
      rotate_query(token, head, index);
    } else {
      append(token, index);
    }
  }
}
