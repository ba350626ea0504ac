// out[token, head, :] = sum over keys j <= position + token of p_j * v_j, p = softmax of the scores
// score_j = scale * q . k_j or, with a softcap, softcap * tanh(scale * q . k_j / softcap)
// A sink is one more score, of no value: exp(sink) is added to the sum of the softmax.
// q [tokens, heads, key_dim], out [tokens, heads, value_dim], sinks [heads] if has_sinks.
// cache: keys [rows, key_stride], then from number values_first on values [rows, value_stride],
// where a KV head's start at key_dim and value_step times its index; position p is in row p % rows.
// A query sees its last `window` keys. Heads share keys: kv_head = head / (heads / kv_heads).
// One workgroup for each head and token; keys in tiles of LANES, the softmax renormalised from tile
// to tile. Dimensions are multiples of 4, value_dim at most LANES * MAX_DIMS.
// Source: Milakov & Gimelshein, "Online normalizer calculation for softmax".
// Needs: cache_quad, cache_value (shaders/cache), control (shaders/control).
override LANES: u32 = 32u;

const MAX_LANES = 64u;
const MAX_DIMS = 8u;
const LOWEST = -3.4e38;

struct Params {
  heads: u32,
  kv_heads: u32,
  key_dim: u32,
  value_dim: u32,
  value_step: u32,
  key_stride: u32,
  value_stride: u32,
  values_first: u32,
  scales_first: u32,
  rows: u32,
  window: u32,
  has_sinks: u32,
  scale: f32,
  softcap: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> sinks: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

var<workgroup> scores: array<f32, MAX_LANES>;
var<workgroup> probabilities: array<f32, MAX_LANES>;

// Of the product q . k. No tanh: adapters compute it by exponentials that overflow.
fn score_of(product: f32) -> f32 {
  let score = product * params.scale;
  if (params.softcap == 0.0) {
    return score;
  }
  let small = exp(-2.0 * abs(score) / params.softcap);
  return sign(score) * params.softcap * (1.0 - small) / (1.0 + small);
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
  let quads = params.key_dim / 4u;
  let kv_head = head / (params.heads / params.kv_heads);
  let keys_first = kv_head * quads;
  let values_first = params.values_first + kv_head * params.value_step;
  let q_first = (token * params.heads + head) * quads;
  let end = control.position + token + 1u;
  let start = select(0u, end - params.window, end > params.window);

  var highest = LOWEST;
  var sum = 0.0;
  if (params.has_sinks != 0u) {
    highest = sinks[head];
    sum = 1.0;
  }
  var result: array<f32, MAX_DIMS>;
  var tile = start;
  while (tile < end) {
    // A tile ends with the rows at the latest: behind them the ring starts anew.
    let row = tile % params.rows;
    let keys = min(min(LANES, end - tile), params.rows - row);
    var score = LOWEST;
    if (lane < keys) {
      let key = (row + lane) * (params.key_stride / 4u) + keys_first;
      var product = 0.0;
      for (var quad = 0u; quad < quads; quad++) {
        product += dot(q[q_first + quad], cache_quad(params.scales_first, key + quad));
      }
      score = score_of(product);
    }
    scores[lane] = score;
    workgroupBarrier();
    var tile_highest = highest;
    for (var other = 0u; other < LANES; other++) {
      tile_highest = max(tile_highest, scores[other]);
    }
    probabilities[lane] = select(0.0, exp(score - tile_highest), lane < keys);
    workgroupBarrier();
    let correction = exp(highest - tile_highest);
    highest = tile_highest;
    sum *= correction;
    for (var other = 0u; other < keys; other++) {
      sum += probabilities[other];
    }
    var dim = lane;
    for (var slot = 0u; slot < MAX_DIMS; slot++) {
      if (dim < params.value_dim) {
        var value = result[slot] * correction;
        for (var other = 0u; other < keys; other++) {
          let at = values_first + (row + other) * params.value_stride + dim;
          value += probabilities[other] * cache_value(params.scales_first, at);
        }
        result[slot] = value;
      }
      dim += LANES;
    }
    tile += keys;
    // The next tile overwrites scores and probabilities: everybody must have read them.
    workgroupBarrier();
  }
  let out_first = (token * params.heads + head) * params.value_dim;
  var dim = lane;
  for (var slot = 0u; slot < MAX_DIMS; slot++) {
    if (dim < params.value_dim) {
      out[out_first + dim] = result[slot] / sum;
    }
    dim += LANES;
  }
}
