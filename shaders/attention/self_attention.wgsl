// Attention of one token from its projections on: its queries and keys are normalised and rotated,
// its keys and values cached (shaders/rope/heads.wgsl), and its queries attend (attend.wgsl).
// qkv: the token's queries, from k_first on its keys, from v_first on its values: [heads,
// head_dim], [kv_heads, head_dim], [kv_heads, value_dim]. head_dim is 4 * key_quads, value_dim
// 4 * value_quads; key_quads is at most value_quads.
//
// A workgroup has all queries of a KV head. They wait in `out`, where their results go. With
// splits, each workgroup readies them for itself, and the one that takes the token's own key caches
// it: no other reads what it writes. The pass has one token.
// Needs: attend.wgsl, shaders/rope/heads.wgsl and what they need, find_norms and norm_of
// (shaders/rope/norms), append (shaders/rope/append.wgsl), Cached (shaders/cache).
override LANES: u32 = 8u;
override GROUPS: u32 = 1u;
override INVOCATIONS: u32 = LANES * GROUPS;
// All queries of a workgroup, a head of keys and one of values.
override MOST_HEADS: u32 = ROWS * GROUPS + 2u;

struct Params {
  heads: u32,
  kv_heads: u32,
  key_quads: u32,
  value_quads: u32,
  key_head_quads: u32,
  key_row_quads: u32,
  value_head_quads: u32,
  value_row_quads: u32,
  value_shift: u32,
  values_first: u32,
  key_scales: u32,
  value_scales: u32,
  rows: u32,
  window: u32,
  span_keys: u32,
  splits: u32,
  tile_rows: u32,
  has_sinks: u32,
  scale: f32,
  softcap: f32,
  k_first: u32,
  v_first: u32,
  head_dim: u32,
  value_dim: u32,
  rope_dims: u32,
  rope_first: u32,
  pairing: u32,
  norm_mode: u32,
  norm_values: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> norms: array<vec4f>;
@group(0) @binding(3) var<storage, read> table: array<vec2f>;
@group(0) @binding(4) var<storage, read> sinks: array<f32>;
@group(0) @binding(5) var<storage, read_write> cache: array<Cached>;
@group(0) @binding(6) var<storage, read_write> out: array<vec4f>;

// Where results go (attend.wgsl), behind the totals of a part.
fn query_places(queries: Counts, split: u32) -> Counts {
  let is_split = min(params.splits, 1u);
  let result = queries * max(params.splits, 1u) + split;
  return result * (params.value_quads + is_split) + is_split;
}

fn query_quad(place: u32) -> vec4f {
  return out[place];
}

fn projected_quad(part: u32, index: u32) -> vec4f {
  return qkv[index];
}

// The queries of a KV head, then its keys, then its values; without their norm.
fn own_head(group: vec3u, index: u32) -> Head {
  let sharing = params.heads / params.kv_heads;
  if (index < sharing) {
    return head_of(QUERY, 0u, group.x * sharing + index, control.position);
  }
  if (index == sharing) {
    return head_of(KEY, params.k_first, group.x, control.position);
  }
  return head_of(VALUE, params.v_first, group.x, control.position);
}

fn normed_head(group: vec3u, index: u32) -> Head {
  var head = own_head(group, index);
  head.norm = norm_of(group, index);
  return head;
}

fn ready_queries(group: vec3u, lane: u32) {
  let sharing = params.heads / params.kv_heads;
  for (var i = lane; i < sharing * params.key_quads; i += INVOCATIONS) {
    let index = i / params.key_quads;
    let quad = i - index * params.key_quads;
    let place = count_of(query_places(Counts(group.x * sharing + index), group.z), 0u);
    out[place + quad] = new_quad(normed_head(group, index), quad);
  }
}

@compute @workgroup_size(LANES, GROUPS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  if (control.fault != 0u) {
    return;
  }
  let seen = keys_of(group);
  if (seen.start >= seen.end) {
    return;
  }
  let appends = seen.end == control.position + 1u;
  let sharing = params.heads / params.kv_heads;
  find_norms(group, sharing + select(0u, 2u, appends), index);
  ready_queries(group, index);
  if (appends) {
    append(normed_head(group, sharing), index);
    append(normed_head(group, sharing + 1u), index);
  }
  storageBarrier();
  attend(group, local, seen);
}
