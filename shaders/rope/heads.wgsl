// Heads of queries, keys and values as attention takes them:
//   queries and keys: rotate(norm(x), position), values: x, or norm(x) with norm_values
// norm_mode 0: none; 1: over a head; 2: over all heads of the part. norms: the weights for queries,
// then for keys, each [head_dim] or, over all heads, [heads * head_dim]; values have none.
// table [context, rope_dims / 2]: cosine and sine of the angles, from the host. Numbers from
// rope_first on are rotated, rope_dims of them (rotation.wgsl); the others stay.
// Needs: params of these names, norms, table, and projected(part, index), a number of what
// projections leave of a part (the kernel); rotation.wgsl, squares.wgsl.
const QUERY = 0u;
const KEY = 1u;
const VALUE = 2u;

struct Head {
  part: u32,
  // Where the numbers of its part start, and its own.
  row: u32,
  first: u32,
  index: u32,
  position: u32,
  // What its numbers are multiplied by.
  norm: f32,
}

// Head `index` of a part whose numbers start at `row`, not normalised yet.
fn head_of(part: u32, row: u32, index: u32, position: u32) -> Head {
  let dim = select(params.head_dim, params.value_dim, part == VALUE);
  return Head(part, row, row + index * dim, index, position, 1.0);
}

fn is_normed(part: u32) -> bool {
  return select(params.norm_mode, params.norm_values, part == VALUE) != 0u;
}

// How many numbers a head is normalised over.
fn norm_width(part: u32) -> u32 {
  if (part == VALUE) {
    return params.value_dim;
  }
  let heads = select(params.kv_heads, params.heads, part == QUERY);
  return select(params.head_dim, params.head_dim * heads, params.norm_mode == 2u);
}

// One of the SUMS sums of squares of a head.
fn sum_of_squares(head: Head, sum: u32) -> f32 {
  let over_all = head.part != VALUE && params.norm_mode == 2u;
  let first = select(head.first, head.row, over_all);
  var total = 0.0;
  for (var i = sum; i < norm_width(head.part); i += SUMS) {
    let number = projected(head.part, first + i);
    total = fma(number, number, total);
  }
  return total;
}

// What a head is normalised by, when its sums are in `squares` from `first` on.
fn norm_from(part: u32, first: u32) -> f32 {
  return inverseSqrt(total_of_squares(first) / f32(norm_width(part)) + params.epsilon);
}

fn normed_number(head: Head, i: u32) -> f32 {
  let number = projected(head.part, head.first + i) * head.norm;
  if (head.part == VALUE || params.norm_mode == 0u) {
    return number;
  }
  let all_queries = norm_width(QUERY);
  let of_part = select(all_queries, 0u, head.part == QUERY);
  let of_head = select(0u, head.index * params.head_dim, params.norm_mode == 2u);
  return number * norms[of_part + of_head + i];
}

fn new_number(head: Head, i: u32) -> f32 {
  let own = normed_number(head, i);
  // What is before rope_first is far behind it, too.
  let place = i - params.rope_first;
  if (head.part == VALUE || place >= params.rope_dims) {
    return own;
  }
  let rotated = rotated_at(place);
  let angle = table[head.position * (params.rope_dims / 2u) + rotated.pair];
  let other = normed_number(head, params.rope_first + rotated.other);
  return turned(own, other, angle, rotated.is_second);
}

// Four numbers of a head.
fn new_quad(head: Head, quad: u32) -> vec4f {
  return vec4f(
    new_number(head, 4u * quad),
    new_number(head, 4u * quad + 1u),
    new_number(head, 4u * quad + 2u),
    new_number(head, 4u * quad + 3u),
  );
}
