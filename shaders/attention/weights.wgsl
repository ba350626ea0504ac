// The weights of a tile's keys: exp(score - highest), which each lane computes for its KEYS keys.
// Needs: params (attention.wgsl), Scores and the rest (shaders/attention/rows_*), Total
// (shaders/attention/totals), cache_quad, key_place (shaders/cache), control (shaders/control).
const KEYS = 4u;

var<workgroup> lane_highest: array<Scores, LANES * GROUPS>;
var<workgroup> lane_sums: array<Scores, LANES * GROUPS>;
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
fn queries_from(first: u32, last: u32, kv_head: u32) -> Queries {
  let sharing = params.heads / params.kv_heads;
  let own = rows_from(first, last);
  let tokens = own / sharing;
  let heads = own - tokens * sharing + kv_head * sharing;
  let ends = tokens + (control.position + 1u);
  let starts = max(ends, Counts(params.window)) - params.window;
  let places = (tokens * params.heads + heads) * params.key_quads;
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

fn product_quad(queries: Mixed, key: Place, quad: u32) -> Scores {
  return products(queries, cache_quad(key.quad + quad * key.quad_step, key.scale + quad / 8u));
}

// The scores of the queries at `places` with the keys in `rows` of the cache.
fn scores_of(places: Counts, rows: vec4u, head_quad: u32) -> array<Scores, KEYS> {
  let a = place_of(rows.x, head_quad);
  let b = place_of(rows.y, head_quad);
  let c = place_of(rows.z, head_quad);
  let d = place_of(rows.w, head_quad);
  var of_a = Scores();
  var of_b = Scores();
  var of_c = Scores();
  var of_d = Scores();
  for (var quad = 0u; quad < params.key_quads; quad++) {
    let queries = queries_of(places, quad);
    of_a += product_quad(queries, a, quad);
    of_b += product_quad(queries, b, quad);
    of_c += product_quad(queries, c, quad);
    of_d += product_quad(queries, d, quad);
  }
  return array<Scores, KEYS>(score_of(of_a), score_of(of_b), score_of(of_c), score_of(of_d));
}

// The scores of the lane's keys, `key` and behind it; LOWEST for what a query does not see.
fn masked_scores(queries: Queries, tile: Tile, key: u32, head_quad: u32) -> array<Scores, KEYS> {
  let lowest = Scores(LOWEST);
  var scores = array<Scores, KEYS>(lowest, lowest, lowest, lowest);
  if (key >= tile.end) {
    return scores;
  }
  let keys = vec4u(key) + vec4u(0u, 1u, 2u, 3u);
  let distances = clamp(keys, vec4u(tile.start), vec4u(tile.end - 1u)) - tile.start;
  let rows = tile.start_row + distances;
  let round = select(rows, rows - params.rows, rows >= vec4u(params.rows));
  var all = scores_of(queries.places, round, head_quad);
  for (var i = 0u; i < KEYS; i++) {
    let seen = (Counts(keys[i]) >= queries.starts) & (Counts(keys[i]) < queries.ends);
    scores[i] = select(lowest, all[i], seen);
  }
  return scores;
}

// Writes the tile's weights, which go by the highest score so far, `highest` included, and gives it
// and their sum. Every lane must call it. Weights may be read until it is called again.
fn weigh(queries: Queries, tile: Tile, highest: Scores, lane: u32, first_lane: u32) -> Total {
  let head_quad = queries.kv_head * params.key_head_quads;
  var scores = masked_scores(queries, tile, tile.first + KEYS * lane, head_quad);
  let top = max(max(scores[0], scores[1]), max(scores[2], scores[3]));
  lane_highest[first_lane + lane] = top;
  // Behind it no lane reads the weights of the tile before.
  workgroupBarrier();
  var total = Total(highest, Scores());
  for (var other = 0u; other < LANES; other++) {
    total.highest = max(total.highest, lane_highest[first_lane + other]);
  }
  var own = array<Scores, KEYS>();
  for (var i = 0u; i < KEYS; i++) {
    // Unseen keys count nothing even where no other key is seen.
    let unseen = scores[i] == Scores(LOWEST);
    own[i] = select(exp(scores[i] - total.highest), Scores(), unseen);
    weights[KEYS * (first_lane + lane) + i] = own[i];
  }
  lane_sums[first_lane + lane] = own[0] + own[1] + own[2] + own[3];
  workgroupBarrier();
  for (var other = 0u; other < LANES; other++) {
    total.sum += lane_sums[first_lane + other];
  }
  return total;
}
