// Readies queries, keys and values of one layer of multi-head latent attention. A token's keys and
// values, of all heads, are one row: a compressed part, which is normalised, and a rotated part.
//   q_out[token, head, :] = products of the head's matrix with x[token, head, :],
//     rotate(x[token, head, x_width - rope_dims ..])
//   cache[(position + token) % cache_rows, :] =
//     norm(kv[token, 0 .. rank]), rotate(kv[token, rank ..])
// x: queries, [tokens, heads, x_width]; their products with the matrix of keys (it is absorbed) are
// `rank` numbers, by rows or columns (shaders/linear/heads/rows.wgsl says what x and the weights
// are). kv [tokens, rank + rope_dims], from number kv_first of the buffer on; norm [rank]; table
// [context, rope_dims / 2]: cos and sin of the angles, from the host;
// q_out [tokens, heads, rank + rope_dims]; cache: words of a format, laid out as keys of row_quads
// fours of numbers a token (shaders/cache/place.wgsl).
// pairing 0 rotates (i, i + rope_dims / 2), pairing 1 rotates (2i, 2i + 1).
// Workgroups over y are the heads and, behind them, one for the row of the cache; over x they share
// a head's products, of which each invocation gives OUTPUTS; over z they have TOKENS tokens each.
// Source: DeepSeek-V2, arXiv 2405.04434, section 2.1.
// Needs: lane_and_row and head_products (shaders/linear/heads), store_number, store_head, key_place
// (shaders/cache), row_sum, row_barrier (shaders/reduce), control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 64u;
override TOKENS: u32 = 1u;
override OUTPUTS: u32 = 1u;

struct Params {
  heads: u32,
  head_rows: u32,
  first_row: u32,
  rows: u32,
  cols: u32,
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
@group(0) @binding(6) var<storage, read_write> cache: array<u32>;

fn store_product(token: u32, head: u32, index: u32, value: f32) {
  let width = params.rank + params.rope_dims;
  q_out[(token * params.heads + head) * width + index] = value;
}

// The two dimensions of a rotated pair.
fn pair_dims(pair: u32) -> vec2u {
  if (params.pairing == 1u) {
    return vec2u(2u * pair, 2u * pair + 1u);
  }
  return vec2u(pair, pair + params.rope_dims / 2u);
}

// A pair of numbers at the token's position.
fn rotated(value: vec2f, token: u32, pair: u32) -> vec2f {
  let angle = table[(control.position + token) * (params.rope_dims / 2u) + pair];
  return vec2f(value.x * angle.x - value.y * angle.y, value.x * angle.y + value.y * angle.x);
}

fn query(index: u32) -> f32 {
  return x[index / 4u][index % 4u];
}

// The end of a head's query.
fn rotate_query(token: u32, head: u32, index: u32) {
  let start = (token * params.heads + head + 1u) * params.x_width - params.rope_dims;
  for (var pair = index; pair < params.rope_dims / 2u; pair += LANES * ROWS) {
    let dims = pair_dims(pair);
    let result = rotated(vec2f(query(start + dims.x), query(start + dims.y)), token, pair);
    store_product(token, head, params.rank + dims.x, result.x);
    store_product(token, head, params.rank + dims.y, result.y);
  }
}

// A token's row of the cache. The lanes of row 0 write it; the others wait with them.
fn append(token: u32, at: vec2u) {
  let rank = params.rank;
  let width = rank + params.rope_dims;
  let lane = select(width, at.x, at.y == 0u);
  let start = params.kv_first + token * width;
  let cache_row = (control.position + token) % params.cache_rows;
  let place = key_place(cache_row, params.row_quads, 0u, params.scales);
  var squares = 0.0;
  for (var i = lane; i < rank; i += LANES) {
    squares += kv[start + i] * kv[start + i];
  }
  let scale = inverseSqrt(row_sum(squares, at.x, at.y) / f32(rank) + params.epsilon);
  // The format may still read what it keeps of the token before.
  row_barrier();
  for (var i = lane; i < rank; i += LANES) {
    store_number(place, i, kv[start + i] * scale * norm[i]);
  }
  for (var pair = lane; pair < params.rope_dims / 2u; pair += LANES) {
    let dims = pair_dims(pair);
    let value = vec2f(kv[start + rank + dims.x], kv[start + rank + dims.y]);
    let result = rotated(value, token, pair);
    store_number(place, rank + dims.x, result.x);
    store_number(place, rank + dims.y, result.y);
  }
  store_head(place, width, lane);
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
      append(token, at);
    }
  }
}
