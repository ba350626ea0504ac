// Readies q, k and v of one layer for attention: norm (optional), rotary embedding, cache.
//   q_out[token, head, :] = q[token, head, :], normalised and rotated by p = position + token
//   keys[p % rows, kv_head, :] = k[token, kv_head, :], normalised and rotated by p
//   values[p % rows, kv_head, :] = v[token, kv_head, :], perhaps normalised
// heads.wgsl says how, and what norms and table are.
// A token's q, k and v start at 0, k_first and v_first of its rows, of q_row, k_row and v_row
// numbers, and are [heads, head_dim], [kv_heads, head_dim] and [value_heads, value_dim]; no value
// heads where values are a part of the keys. q_out [tokens, heads, head_dim], as fours.
// cache: words of a format, laid out by shaders/cache/place.wgsl: a token's keys are key_row_quads
// fours of numbers, a head's at key_head_quads times its index; values likewise.
// One workgroup for each token and each head of q, then of k, then of v.
// Needs: heads.wgsl, rotation.wgsl, find_norms and norm_of (norms/), rotated_quad (rotated/),
// append (append.wgsl), Cached (shaders/cache), control (shaders/control).
override LANES: u32 = 32u;
override INVOCATIONS: u32 = LANES;

// A workgroup has one.
const MOST_HEADS = 1u;

struct Params {
  heads: u32,
  kv_heads: u32,
  value_heads: u32,
  head_dim: u32,
  value_dim: u32,
  q_row: u32,
  k_row: u32,
  v_row: u32,
  k_first: u32,
  v_first: u32,
  rows: u32,
  key_head_quads: u32,
  key_row_quads: u32,
  value_head_quads: u32,
  value_row_quads: u32,
  values_first: u32,
  key_scales: u32,
  value_scales: u32,
  rope_dims: u32,
  rope_first: u32,
  pairing: u32,
  norm_mode: u32,
  norm_values: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> k: array<vec4f>;
@group(0) @binding(3) var<storage, read> v: array<vec4f>;
@group(0) @binding(4) var<storage, read> norms: array<vec4f>;
@group(0) @binding(5) var<storage, read> table: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> q_out: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> cache: array<Cached>;

fn projected_quad(part: u32, index: u32) -> vec4f {
  if (part == QUERY) {
    return q[index];
  }
  if (part == KEY) {
    return k[index];
  }
  return v[index];
}

// The head of a workgroup, without its norm.
fn own_head(group: vec3u, index: u32) -> Head {
  let token = group.y;
  let position = control.position + token;
  if (group.x < params.heads) {
    return head_of(QUERY, token * params.q_row, group.x, position);
  }
  let behind = group.x - params.heads;
  if (behind < params.kv_heads) {
    return head_of(KEY, token * params.k_row + params.k_first, behind, position);
  }
  let row = token * params.v_row + params.v_first;
  return head_of(VALUE, row, behind - params.kv_heads, position);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = group.y;
  if (control.fault != 0u || token >= control.tokens) {
    return;
  }
  find_norms(group, 1u, lane);
  var head = own_head(group, 0u);
  head.norm = norm_of(group, 0u);
  if (head.part != QUERY) {
    append(head, lane);
    return;
  }
  let quads = params.head_dim / 4u;
  let first = (token * params.heads + head.index) * quads;
  for (var quad = lane; quad < quads; quad += LANES) {
    q_out[first + quad] = new_quad(head, quad);
  }
}
