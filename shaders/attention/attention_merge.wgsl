// out[token, head, :] = the sum of the spans' mixtures of values, divided by that of their weights
// merge.wgsl says what of. out [tokens, heads, value_quads], vec4.
// One workgroup for each token and head.
// Needs: merge.wgsl, control (shaders/control).
override LANES: u32 = 32u;

struct Params {
  heads: u32,
  value_quads: u32,
  window: u32,
  span_keys: u32,
  splits: u32,
  has_sinks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<vec4f>;
@group(0) @binding(2) var<storage, read> sinks: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = group.y;
  if (control.fault != 0u || token >= control.tokens) {
    return;
  }
  for (var quad = lane; quad < params.value_quads; quad += LANES) {
    let place = (token * params.heads + group.x) * params.value_quads + quad;
    out[place] = merged_quad(token, group.x, quad);
  }
}
