// Heads of queries, keys and values as attention takes them:
//   queries and keys: rotate(norm(x), position), values: x, or norm(x) with norm_values
// norm_mode 0: none; 1: over a head; 2: over all heads of the part. norms: the weights for queries,
// then for keys, each [head_dim] or, over all heads, [heads * head_dim]; values have none.
// table [context, rope_dims / 2]: cosine and sine of the angles, from the host. Numbers from
// rope_first on are rotated, rope_dims of them (rotation.wgsl); the others stay.
// A norm is made of SUMS sums, each of the squares of every SUMS-th four numbers, and of these the
// total in order: one order, whatever the lanes, since two kernels have to give the same bits.
// norms/ says who adds up.
// Needs: params of these names, norms and table, projected_quad(part, index), four numbers of what
// projections leave of a part (the kernel); rotated_quad (rotated/). All widths are multiples of 4.
const QUERY = 0u;
const KEY = 1u;
const VALUE = 2u;

const SUMS = 32u;

// Places are counted in fours of numbers.
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

// Head `index` of a part whose numbers start with number `first`, not normalised yet.
fn head_of(part: u32, first: u32, index: u32, position: u32) -> Head {
  let quads = select(params.head_dim, params.value_dim, part == VALUE) / 4u;
  let row = first / 4u;
  return Head(part, row, row + index * quads, index, position, 1.0);
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
  let quads = norm_width(head.part) / 4u;
  var total = 0.0;
  for (var quad = sum; quad < quads; quad += SUMS) {
    let numbers = projected_quad(head.part, first + quad);
    total += fused_dot(numbers, numbers);
  }
  return total;
}

// What a head is multiplied by whose squares add up to `total`.
fn norm_from(part: u32, total: f32) -> f32 {
  return inverseSqrt(total / f32(norm_width(part)) + params.epsilon);
}

fn normed_quad(head: Head, quad: u32) -> vec4f {
  let numbers = projected_quad(head.part, head.first + quad) * head.norm;
  if (head.part == VALUE || params.norm_mode == 0u) {
    return numbers;
  }
  let of_part = select(norm_width(QUERY) / 4u, 0u, head.part == QUERY);
  let of_head = select(0u, head.first - head.row, params.norm_mode == 2u);
  return numbers * norms[of_part + of_head + quad];
}

// Four numbers of a head.
fn new_quad(head: Head, quad: u32) -> vec4f {
  let own = normed_quad(head, quad);
  if (head.part == VALUE || params.rope_dims == 0u) {
    return own;
  }
  return rotated_quad(head, quad, own);
}
