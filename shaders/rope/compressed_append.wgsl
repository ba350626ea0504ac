// Readies queries, keys and values of one layer of multi-head latent attention whose queries are
// compressed (latent.wgsl), for a pass of one token: a head's query is expanded, and then absorbed.
//   query = weight[head, :, :] . norm(x[0 .. cols])
// x: the compressed query, cols numbers, and from number kv_first on keys and values; vectors: the
// weights of the query's norm [cols], then of the norm of keys and values [rank]. weight
// [heads * x_width, cols], in buffer 1; the matrix of keys is in buffer 0.
// Workgroups over y are the heads and, behind them, one for the row of the cache; those over x each
// expand the query, and take turns with the tiles of the head's products. LANES lanes share FOURS
// times four rows of the weight. x_width is a multiple of 4, at most 4 * MOST_QUERY_QUADS.
// Needs: latent.wgsl, row_dots_queries (shaders/linear), ready_input and input_factor (input),
// row_sum4 (shaders/reduce), lane_and_row and head_products (heads), control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 64u;
override FOURS: u32 = 1u;
override OUTPUTS: u32 = 1u;

const TOKENS = 1u;
const MOST_QUERY_QUADS = 128u;

struct Params {
  heads: u32,
  head_rows: u32,
  first_row: u32,
  rows: u32,
  head_cols: u32,
  x_width: u32,
  cols: u32,
  tiles: u32,
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
@group(0) @binding(1) var<storage, read> x: array<InputElement>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read> table: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> q_out: array<f32>;
@group(0) @binding(5) var<storage, read_write> cache: array<Cached>;

var<workgroup> own_query: array<vec4f, MOST_QUERY_QUADS>;

fn head_input(head: u32, index: u32) -> vec4f {
  return own_query[index - head * (params.x_width / 4u)];
}

fn kv_number(index: u32) -> f32 {
  return raw_number(params.kv_first, index);
}

fn kv_weight(i: u32) -> f32 {
  return vectors[(params.cols + i) / 4u][(params.cols + i) % 4u];
}

// Expands a head's query. Every lane must call it.
fn expand(head: u32, at: vec2u) {
  ready_input(0u, 0u, at.x, at.y);
  let all_rows = params.heads * params.x_width;
  let tile_rows = 4u * FOURS * ROWS;
  for (var start = 0u; start < params.x_width; start += tile_rows) {
    let row = start + at.y * 4u * FOURS;
    let dots = row_dots_queries(0u, all_rows, params.cols, head * params.x_width + row, 0u, at.x);
    let factor = input_factor(dots.squares, at.x, at.y);
    for (var four = 0u; four < FOURS; four++) {
      let sums = row_sum4(four_of(dots, four), at.x, at.y);
      let own = row + 4u * four;
      if (at.x == 0u && own < params.x_width) {
        own_query[own / 4u] = sums * factor;
      }
    }
  }
  workgroupBarrier();
}

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  if (control.fault != 0u) {
    return;
  }
  let head = group.y;
  if (head == params.heads) {
    if (group.x == 0u) {
      append(0u, index);
    }
    return;
  }
  expand(head, vec2u(index % LANES, index / LANES));
  let tile_outputs = OUTPUTS * ROWS;
  for (var tile = group.x; tile * tile_outputs < params.rank; tile += params.tiles) {
    head_products(head, tile, 0u, lane_and_row(index));
  }
  if (group.x == 0u) {
    rotate_query(0u, head, index);
  }
}
