// out[token, head, :] = sum over keys j <= position + token of softmax_j(scale * q . k_j) * v_j
// q and out [tokens, heads, head_dim]; cache [2, context, kv_heads, head_dim]: keys, then values.
// A query sees its last `window` keys. Heads share keys: kv_head = head / (heads / kv_heads).
// One workgroup for each head and token; keys in tiles of LANES, the softmax renormalised from tile
// to tile. head_dim is a multiple of 4 and at most LANES * MAX_DIMS.
// Source: Milakov & Gimelshein, "Online normalizer calculation for softmax".
// Needs: control (shaders/control).
override LANES: u32 = 32u;

const MAX_LANES = 64u;
const MAX_DIMS = 8u;
const LOWEST = -3.4e38;

struct Params {
  heads: u32,
  kv_heads: u32,
  head_dim: u32,
  context: u32,
  window: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> cache: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

var<workgroup> scores: array<f32, MAX_LANES>;
var<workgroup> probabilities: array<f32, MAX_LANES>;

fn value_at(quad_first: u32, dim: u32) -> f32 {
  return cache[quad_first + dim / 4u][dim % 4u];
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let head = group.x;
  let token = group.y;
  if (control.fault != 0u || token >= control.tokens) {
    return;
  }
  let quads = params.head_dim / 4u;
  let stride = params.kv_heads * quads;
  let kv_first = head / (params.heads / params.kv_heads) * quads;
  let q_first = (token * params.heads + head) * quads;
  let end = control.position + token + 1u;
  let start = select(0u, end - params.window, end > params.window);

  var highest = LOWEST;
  var sum = 0.0;
  var result: array<f32, MAX_DIMS>;
  for (var tile = start; tile < end; tile += LANES) {
    let key = tile + lane;
    var score = LOWEST;
    if (key < end) {
      score = 0.0;
      for (var quad = 0u; quad < quads; quad++) {
        score += dot(q[q_first + quad], cache[key * stride + kv_first + quad]);
      }
      score *= params.scale;
    }
    scores[lane] = score;
    workgroupBarrier();
    var tile_highest = highest;
    for (var other = 0u; other < LANES; other++) {
      tile_highest = max(tile_highest, scores[other]);
    }
    probabilities[lane] = select(0.0, exp(score - tile_highest), key < end);
    workgroupBarrier();
    let correction = exp(highest - tile_highest);
    highest = tile_highest;
    sum *= correction;
    let keys = min(LANES, end - tile);
    for (var other = 0u; other < keys; other++) {
      sum += probabilities[other];
    }
    var dim = lane;
    for (var slot = 0u; slot < MAX_DIMS; slot++) {
      if (dim < params.head_dim) {
        var value = result[slot] * correction;
        for (var other = 0u; other < keys; other++) {
          let at = (params.context + tile + other) * stride + kv_first;
          value += probabilities[other] * value_at(at, dim);
        }
        result[slot] = value;
      }
      dim += LANES;
    }
    // The next tile overwrites scores and probabilities: everybody must have read them.
    workgroupBarrier();
  }
  var dim = lane;
  for (var slot = 0u; slot < MAX_DIMS; slot++) {
    if (dim < params.head_dim) {
      out[4u * q_first + dim] = result[slot] / sum;
    }
    dim += LANES;
  }
}
