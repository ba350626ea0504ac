// Attention of queries that are ready, over a cache that has their keys (attend.wgsl).
// q [tokens, heads, 4 * key_quads].
// Needs: attend.wgsl and what it needs, Cached (shaders/cache).
override LANES: u32 = 8u;
override GROUPS: u32 = 1u;

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
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> sinks: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;
@group(1) @binding(0) var<storage, read> cache: array<Cached>;

fn query_places(queries: Counts, split: u32) -> Counts {
  return queries * params.key_quads;
}

fn query_quad(place: u32) -> vec4f {
  return q[place];
}

@compute @workgroup_size(LANES, GROUPS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  if (control.fault != 0u) {
    return;
  }
  let seen = keys_of(group);
  if (seen.start < seen.end) {
    attend(group, local, seen);
  }
}
