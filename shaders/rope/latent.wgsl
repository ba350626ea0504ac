// What multi-head latent attention attends with and to. A token's keys and values, of all heads,
// are one row: a compressed part, which is normalised, and a rotated part.
//   q_out[token, head, :] = products of the head's matrix with its query of x_width numbers,
//     rotate(the query's last rope_dims) (rotation.wgsl)
//   cache[(position + token) % cache_rows, :] =
//     norm(kv[token, 0 .. rank]), rotate(kv[token, rank ..])
// table [context, rope_dims / 2]: cos and sin of the angles, from the host; q_out
// [tokens, heads, rank + rope_dims]; cache: words of a format, laid out as keys of row_quads fours
// of numbers a token (shaders/cache/place.wgsl).
// Source: DeepSeek-V2, arXiv 2405.04434, section 2.1.
// Needs: params of these names, table, q_out, cache, head_input (shaders/linear/heads),
// kv_number(index) of all rows, kv_weight(i) of their norm (the kernel); store_piece, key_place
// (shaders/cache), rotation.wgsl, norms/squares.wgsl, control (shaders/control).

// Of the norm of a row of the cache: a workgroup writes one at a time.
const SUMS = 32u;
const MOST_HEADS = 1u;

fn store_product(token: u32, head: u32, index: u32, value: f32) {
  let width = params.rank + params.rope_dims;
  q_out[(token * params.heads + head) * width + index] = value;
}

fn query(head: u32, index: u32) -> f32 {
  return head_input(head, index / 4u)[index % 4u];
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
    let own = query(head, start + i);
    let other = query(head, start + rotated.other);
    let result = turned_number(own, other, angle, rotated.is_second);
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
  let own = kv_number(head.start + i);
  if (i < params.rank) {
    return own * head.norm * kv_weight(i);
  }
  let rotated = rotated_at(i - params.rank);
  let other = kv_number(head.start + params.rank + rotated.other);
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
  let start = token * width;
  let cache_row = (control.position + token) % params.cache_rows;
  let place = key_place(cache_row, params.row_quads, 0u, params.scales);
  // The sums of the token before may still be read.
  workgroupBarrier();
  for (var sum = index; sum < SUMS; sum += LANES * ROWS) {
    var total = 0.0;
    for (var i = sum; i < params.rank; i += SUMS) {
      let number = kv_number(start + i);
      total = fma(number, number, total);
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
