// Readies queries, keys and values of one layer of multi-head latent attention. A token's keys and
// values, of all heads, are one row: a compressed part, which is normalised, and a rotated part.
//   q_out[token, head, :] = products of the head's matrix with x[token, head, :],
//     rotate(x[token, head, x_width - rope_dims ..]) (rotation.wgsl)
//   cache[(position + token) % cache_rows, :] =
//     norm(kv[token, 0 .. rank]), rotate(kv[token, rank ..])
// x: queries, [tokens, heads, x_width]; their products with the matrix of keys (it is absorbed) are
// `rank` numbers, by rows or columns (shaders/linear/heads/rows.wgsl says what x and the weights
// are). kv [tokens, rank + rope_dims], from number kv_first of the buffer on; norm [rank]; table
// [context, rope_dims / 2]: cos and sin of the angles, from the host;
// q_out [tokens, heads, rank + rope_dims]; cache: words of a format, laid out as keys of row_quads
// fours of numbers a token (shaders/cache/place.wgsl).
// Workgroups over y are the heads and, behind them, one for the row of the cache; over x they share
// a head's products, of which each invocation gives OUTPUTS; over z they have TOKENS tokens each.
// Source: DeepSeek-V2, arXiv 2405.04434, section 2.1.
// Needs: lane_and_row and head_products (shaders/linear/heads), Cached, store_piece, key_place
// (shaders/cache), rotation.wgsl, norms/squares.wgsl, control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 64u;
override TOKENS: u32 = 1u;
override OUTPUTS: u32 = 1u;

// Of the norm of a row of the cache: a workgroup writes one at a time.
const SUMS = 32u;
const MOST_HEADS = 1u;

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
@group(0) @binding(6) var<storage, read_write> cache: array<Cached>;

fn head_input(head: u32, index: u32) -> vec4f {
  return x[index];
}

fn store_product(token: u32, head: u32, index: u32, value: f32) {
  let width = params.rank + params.rope_dims;
  q_out[(token * params.heads + head) * width + index] = value;
}

fn query(index: u32) -> f32 {
  return x[index / 4u][index % 4u];
}

fn angle_of(token: u32, pair: u32) -> vec2f {
  return table[(control.position + token) * (params.rope_dims / 2u) + pair];
}

// The end of a head's query.
fn rotate_query(token: u32, head: u32, index: u32) {
  let start = (token * params.heads + head + 1u) * params.x_width - params.rope_dims;
  for (var i = index; i < params.rope_dims; i += LANES * ROWS) {
    let rotated = rotated_at(i);
    let angle = angle_of(token, rotated.pair);
    let own = query(start + i);
    let result = turned_number(own, query(start + rotated.other), angle, rotated.is_second);
    store_product(token, head, params.rank + i, result);
  }
}

// A token's keys and values: where they start, and what their compressed part is multiplied by.
struct Head {
  token: u32,
  start: u32,
  norm: f32,
}

fn new_number(head: Head, i: u32) -> f32 {
  let own = kv[head.start + i];
  if (i < params.rank) {
    return own * head.norm * norm[i];
  }
  let rotated = rotated_at(i - params.rank);
  let other = kv[head.start + params.rank + rotated.other];
  return turned_number(own, other, angle_of(head.token, rotated.pair), rotated.is_second);
}

// Four numbers of a token's row.
fn new_quad(head: Head, quad: u32) -> vec4f {
  return vec4f(
    new_number(head, 4u * quad),
    new_number(head, 4u * quad + 1u),
    new_number(head, 4u * quad + 2u),
    new_number(head, 4u * quad + 3u),
  );
}

// A token's row of the cache. Every lane must call it.
fn append(token: u32, index: u32) {
  let width = params.rank + params.rope_dims;
  let start = params.kv_first + token * width;
  let cache_row = (control.position + token) % params.cache_rows;
  let place = key_place(cache_row, params.row_quads, 0u, params.scales);
  // The sums of the token before may still be read.
  workgroupBarrier();
  for (var sum = index; sum < SUMS; sum += LANES * ROWS) {
    var total = 0.0;
    for (var i = sum; i < params.rank; i += SUMS) {
      total = fma(kv[start + i], kv[start + i], total);
    }
    squares[sum] = total;
  }
  workgroupBarrier();
  let mean = total_of_squares(0u) / f32(params.rank);
  let head = Head(token, start, inverseSqrt(mean + params.epsilon));
  for (var piece = index; 4u * PIECE_QUADS * piece < width; piece += LANES * ROWS) {
    store_piece(place, head, piece, width);
  }
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
