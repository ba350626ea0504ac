// The weights of a tile's keys: exp(score - highest), which each lane computes for its KEYS keys.
// Needs: params, query_places and query_quad (the kernel), Scores and the rest (rows_*), KEYS and
// the rest (keys_*), Total (totals.wgsl), cache_quad, key_place (shaders/cache), control
// (shaders/control).

var<workgroup> lane_highest: array<Scores, LANES * GROUPS>;
var<workgroup> weights: array<Scores, KEYS * LANES * GROUPS>;

// Keys from `start` to `end`; the tile would start at `first`. start_row: the row of key `start`.
struct Tile {
  first: u32,
  start: u32,
  end: u32,
  start_row: u32,
}

// Where a lane's queries start, their heads, and the keys that they see.
struct Queries {
  kv_head: u32,
  places: Counts,
  heads: Counts,
  starts: Counts,
  ends: Counts,
}

fn first_seen(end: u32) -> u32 {
  return max(end, params.window) - params.window;
}

fn tile_from(start: u32, span_end: u32) -> Tile {
  let first = start / (KEYS * LANES) * (KEYS * LANES);
  return Tile(first, start, min(first + KEYS * LANES, span_end), start % params.rows);
}

// Queries `first` and behind it, but none behind `last`, of a KV head.
fn queries_from(first: u32, last: u32, kv_head: u32, split: u32) -> Queries {
  let sharing = params.heads / params.kv_heads;
  let own = rows_from(first, last);
  let tokens = own / sharing;
  let heads = own - tokens * sharing + kv_head * sharing;
  let ends = tokens + (control.position + 1u);
  let starts = max(ends, Counts(params.window)) - params.window;
  let places = query_places(tokens * params.heads + heads, split);
  return Queries(kv_head, places, heads, starts, ends);
}

// The row of the cache that is `distance` behind `first_row`, less than `rows`: they go round.
fn row_behind(first_row: u32, distance: u32) -> u32 {
  let row = first_row + distance;
  return select(row, row - params.rows, row >= params.rows);
}

// Of the product q . k. No tanh: adapters compute it by exponentials that overflow.
fn score_of(product: Scores) -> Scores {
  let score = product * params.scale;
  if (params.softcap == 0.0) {
    return score;
  }
  let small = exp(-2.0 * abs(score) / params.softcap);
  return sign(score) * params.softcap * (1.0 - small) / (1.0 + small);
}

fn place_of(row: u32, head_quad: u32) -> Place {
  return key_place(row, params.key_row_quads, head_quad, params.key_scales);
}

fn key_quad(key: Place, quad: u32) -> vec4f {
  return cache_quad(key.quad + quad * key.quad_step, key.scale + quad / 8u);
}

// Which of the queries see a key.
fn sees(queries: Queries, key: u32) -> Flags {
  return (Counts(key) >= queries.starts) & (Counts(key) < queries.ends);
}

// Unseen keys count nothing even where no other key is seen.
fn weight_of(score: Scores, highest: Scores) -> Scores {
  return select(exp(score - highest), Scores(), score == Scores(LOWEST));
}

// Writes the tile's weights, which go by the highest score so far, `highest` included, and gives it
// and their sum. Every lane must call it. Weights may be read until it is called again.
fn weigh(queries: Queries, tile: Tile, highest: Scores, lane: u32, first_lane: u32) -> Total {
  let head_quad = queries.kv_head * params.key_head_quads;
  let scores = masked_scores(queries, tile, tile.first + KEYS * lane, head_quad);
  lane_highest[first_lane + lane] = highest_of(scores);
  // Behind it no lane reads the weights of the tile before.
  workgroupBarrier();
  var total = Total(highest, Scores());
  for (var other = 0u; other < LANES; other++) {
    total.highest = max(total.highest, lane_highest[first_lane + other]);
  }
  keep_weights(scores, total.highest, first_lane + lane);
  workgroupBarrier();
  total.sum = tile_sum(first_lane);
  return total;
}
