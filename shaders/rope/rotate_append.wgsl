// Readies q, k and v of one layer for attention: norm (optional), rotary embedding, cache.
//   q_out[token, head, :] = rotate(norm(q[token, head, :]), p), where p = position + token
//   keys[p % rows, kv_head, :] = rotate(norm(k[token, kv_head, :]), p)
//   values[p % rows, kv_head, :] = v[token, kv_head, :]
// A token's q, k and v start at 0, k_first and v_first of its rows, of q_row, k_row and v_row
// numbers, and are [heads, head_dim], [kv_heads, head_dim] and [value_heads, value_dim]; no value
// heads where values are a part of the keys. q_out [tokens, heads, head_dim].
// cache: words of a format, laid out by shaders/cache/place.wgsl: a token's keys are key_row_quads
// fours of numbers, a head's at key_head_quads times its index; values likewise.
// With norm_values, v is normalised over each head, without weights.
// norms: weights for q, then for k, each [head_dim] (norm_mode 1: over a head) or [width]
// (norm_mode 2: over all heads).
// table [context, rope_dims / 2]: cos and sin of the angles, from the host.
// pairing 0 rotates (i, i + rope_dims / 2), pairing 1 rotates (2i, 2i + 1), both counted from
// rope_first; the other dimensions stay.
// One workgroup for each token and each head of q, then of k, then of v.
// Needs: store_number, store_head, key_place, value_place (shaders/cache), row_sum, row_barrier
// (shaders/reduce), control (shaders/control).
override LANES: u32 = 32u;
override ROWS: u32 = 1u;

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
@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> k: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<f32>;
@group(0) @binding(4) var<storage, read> norms: array<f32>;
@group(0) @binding(5) var<storage, read> table: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> q_out: array<f32>;
@group(0) @binding(7) var<storage, read_write> cache: array<u32>;

// Element `index` of q (is_q) or k.
fn source(is_q: bool, index: u32) -> f32 {
  if (is_q) {
    return q[index];
  }
  return k[index];
}

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = group.y;
  if (control.fault != 0u || token >= control.tokens) {
    return;
  }
  let dim = params.head_dim;
  let position = control.position + token;
  let cache_row = position % params.rows;
  if (group.x >= params.heads + params.kv_heads) {
    let head = group.x - params.heads - params.kv_heads;
    let first = token * params.v_row + params.v_first + head * params.value_dim;
    let head_quad = head * params.value_head_quads;
    let place = value_place(
      cache_row, params.value_row_quads, head_quad, params.values_first, params.value_scales,
    );
    var norm = 1.0;
    if (params.norm_values != 0u) {
      var squares = 0.0;
      for (var i = lane; i < params.value_dim; i += LANES) {
        squares += v[first + i] * v[first + i];
      }
      let mean = row_sum(squares, lane, 0u) / f32(params.value_dim);
      norm = inverseSqrt(mean + params.epsilon);
    }
    for (var i = lane; i < params.value_dim; i += LANES) {
      store_number(place, i, v[first + i] * norm);
    }
    store_head(place, params.value_dim, lane);
    return;
  }
  let is_q = group.x < params.heads;
  let head = select(group.x - params.heads, group.x, is_q);
  let width = select(params.kv_heads, params.heads, is_q) * dim;
  let row = select(token * params.k_row + params.k_first, token * params.q_row, is_q);
  let first = row + head * dim;

  var scale = 1.0;
  var norm_first = 0u;
  if (params.norm_mode != 0u) {
    let over_head = params.norm_mode == 1u;
    let sum_first = select(row, first, over_head);
    let sum_width = select(width, dim, over_head);
    var squares = 0.0;
    for (var i = lane; i < sum_width; i += LANES) {
      let value = source(is_q, sum_first + i);
      squares += value * value;
    }
    scale = inverseSqrt(row_sum(squares, lane, 0u) / f32(sum_width) + params.epsilon);
    let k_norms = select(params.heads * dim, dim, over_head);
    norm_first = select(k_norms, 0u, is_q) + select(head * dim, 0u, over_head);
  }

  let half = params.rope_dims / 2u;
  let to = token * width + head * dim;
  let head_quad = head * params.key_head_quads;
  let place = key_place(cache_row, params.key_row_quads, head_quad, params.key_scales);
  // A lane handles rotated pairs first, then what is not rotated.
  for (var task = lane; task < dim - half; task += LANES) {
    let other = task - half;
    var a = select(other, other + params.rope_dims, other >= params.rope_first);
    var b = a;
    var angle = vec2f(1.0, 0.0);
    if (task < half) {
      a = params.rope_first + select(task, 2u * task, params.pairing == 1u);
      b = select(a + half, a + 1u, params.pairing == 1u);
      angle = table[position * half + task];
    }
    var value_a = source(is_q, first + a) * scale;
    var value_b = source(is_q, first + b) * scale;
    if (params.norm_mode != 0u) {
      value_a *= norms[norm_first + a];
      value_b *= norms[norm_first + b];
    }
    let rotated_a = value_a * angle.x - value_b * angle.y;
    let rotated_b = value_a * angle.y + value_b * angle.x;
    if (is_q) {
      q_out[to + a] = rotated_a;
    } else {
      store_number(place, a, rotated_a);
    }
    if (task < half) {
      if (is_q) {
        q_out[to + b] = rotated_b;
      } else {
        store_number(place, b, rotated_b);
      }
    }
  }
  if (!is_q) {
    store_head(place, dim, lane);
  }
}
