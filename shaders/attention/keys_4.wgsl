// Four keys a lane: what is read of the queries serves all four.
//
// Every such part supplies KEYS and the same functions:
//   masked_scores(queries, tile, key, head_quad): the scores of the lane's keys, `key` and behind
//   it; LOWEST for what a query does not see;
//   highest_of(scores): their maximum;
//   keep_weights(scores, highest, lane): writes their weights, before a barrier, and behind it
//   tile_sum(first_lane): the sum of all lanes' weights, four neighbours at a time, in order.
// The parts give the same bits where tiles are the same.
// Needs: weights, weight_of and what finds scores and places (weights.wgsl).
const KEYS = 4u;

var<workgroup> lane_sums: array<Scores, LANES * GROUPS>;

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
    of_a += products(queries, key_quad(a, quad));
    of_b += products(queries, key_quad(b, quad));
    of_c += products(queries, key_quad(c, quad));
    of_d += products(queries, key_quad(d, quad));
  }
  return array<Scores, KEYS>(score_of(of_a), score_of(of_b), score_of(of_c), score_of(of_d));
}

fn masked_scores(queries: Queries, tile: Tile, key: u32, head_quad: u32) -> array<Scores, KEYS> {
  let lowest = Scores(LOWEST);
  if (key >= tile.end) {
    return array<Scores, KEYS>(lowest, lowest, lowest, lowest);
  }
  let keys = vec4u(key) + vec4u(0u, 1u, 2u, 3u);
  let distances = clamp(keys, vec4u(tile.start), vec4u(tile.end - 1u)) - tile.start;
  let rows = tile.start_row + distances;
  let round = select(rows, rows - params.rows, rows >= vec4u(params.rows));
  let scores = scores_of(queries.places, round, head_quad);
  return array<Scores, KEYS>(
    select(lowest, scores[0], sees(queries, key)),
    select(lowest, scores[1], sees(queries, key + 1u)),
    select(lowest, scores[2], sees(queries, key + 2u)),
    select(lowest, scores[3], sees(queries, key + 3u)),
  );
}

fn highest_of(scores: array<Scores, KEYS>) -> Scores {
  return max(max(scores[0], scores[1]), max(scores[2], scores[3]));
}

fn keep_weights(scores: array<Scores, KEYS>, highest: Scores, lane: u32) {
  let a = weight_of(scores[0], highest);
  let b = weight_of(scores[1], highest);
  let c = weight_of(scores[2], highest);
  let d = weight_of(scores[3], highest);
  weights[4u * lane] = a;
  weights[4u * lane + 1u] = b;
  weights[4u * lane + 2u] = c;
  weights[4u * lane + 3u] = d;
  lane_sums[lane] = a + b + c + d;
}

fn tile_sum(first_lane: u32) -> Scores {
  var sum = Scores();
  for (var lane = 0u; lane < LANES; lane++) {
    sum += lane_sums[first_lane + lane];
  }
  return sum;
}
