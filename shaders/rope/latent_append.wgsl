// Readies queries, keys and values of one layer of multi-head latent attention. A token's keys and
// values, of all heads, are one row: a compressed part, which is normalised, and a rotated part.
//   q_out[token, head, :] =
//     absorbed[token, head, :], rotate(q[token, head, q_width - rope_dims ..])
//   cache[(position + token) % rows, :] = norm(kv[token, 0 .. rank]), rotate(kv[token, rank ..])
// absorbed [tokens, heads, rank]; q [tokens, heads, q_width]; kv [tokens, rank + rope_dims], from
// number kv_first of the buffer on; norm [rank]; table [context, rope_dims / 2]: cos and sin of the
// angles, from the host;
// q_out [tokens, heads, rank + rope_dims]; cache: words of a format, laid out as keys of row_quads
// fours of numbers a token (shaders/cache/place.wgsl).
// pairing 0 rotates (i, i + rope_dims / 2), pairing 1 rotates (2i, 2i + 1).
// One workgroup for each token and each head, and one for the token's row.
// Source: DeepSeek-V2, arXiv 2405.04434, section 2.1.
// Needs: store_number, store_head, key_place (shaders/cache), row_sum, row_barrier
// (shaders/reduce), control (shaders/control).
override LANES: u32 = 32u;
override ROWS: u32 = 1u;

struct Params {
  heads: u32,
  q_width: u32,
  kv_first: u32,
  rank: u32,
  rope_dims: u32,
  rows: u32,
  row_quads: u32,
  scales: u32,
  pairing: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> absorbed: array<f32>;
@group(0) @binding(3) var<storage, read> kv: array<f32>;
@group(0) @binding(4) var<storage, read> norm: array<f32>;
@group(0) @binding(5) var<storage, read> table: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> q_out: array<f32>;
@group(0) @binding(7) var<storage, read_write> cache: array<u32>;

// The two dimensions of a rotated pair.
fn pair_dims(pair: u32) -> vec2u {
  if (params.pairing == 1u) {
    return vec2u(2u * pair, 2u * pair + 1u);
  }
  return vec2u(pair, pair + params.rope_dims / 2u);
}

fn rotated(value: vec2f, angle: vec2f) -> vec2f {
  return vec2f(value.x * angle.x - value.y * angle.y, value.x * angle.y + value.y * angle.x);
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
  let rank = params.rank;
  let width = rank + params.rope_dims;
  let pairs = params.rope_dims / 2u;
  let position = control.position + token;
  if (group.x < params.heads) {
    let row = token * params.heads + group.x;
    for (var i = lane; i < rank; i += LANES) {
      q_out[row * width + i] = absorbed[row * rank + i];
    }
    let start = (row + 1u) * params.q_width - params.rope_dims;
    let to = row * width + rank;
    for (var pair = lane; pair < pairs; pair += LANES) {
      let dims = pair_dims(pair);
      let value = vec2f(q[start + dims.x], q[start + dims.y]);
      let result = rotated(value, table[position * pairs + pair]);
      q_out[to + dims.x] = result.x;
      q_out[to + dims.y] = result.y;
    }
    return;
  }
  let start = params.kv_first + token * width;
  let place = key_place(position % params.rows, params.row_quads, 0u, params.scales);
  var squares = 0.0;
  for (var i = lane; i < rank; i += LANES) {
    squares += kv[start + i] * kv[start + i];
  }
  let scale = inverseSqrt(row_sum(squares, lane, 0u) / f32(rank) + params.epsilon);
  for (var i = lane; i < rank; i += LANES) {
    store_number(place, i, kv[start + i] * scale * norm[i]);
  }
  for (var pair = lane; pair < pairs; pair += LANES) {
    let dims = pair_dims(pair);
    let value = vec2f(kv[start + rank + dims.x], kv[start + rank + dims.y]);
    let result = rotated(value, table[position * pairs + pair]);
    store_number(place, rank + dims.x, result.x);
    store_number(place, rank + dims.y, result.y);
  }
  store_head(place, width, lane);
}
