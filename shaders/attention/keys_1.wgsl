// One key a lane, for adapters with lanes to spare, which wait for memory: what a lane computes
// takes a fourth of the time. LANES is a multiple of 4. See keys_4.wgsl.
const KEYS = 1u;

// Four quads at once: what they read does not wait for another.
fn score_with(places: Counts, row: u32, head_quad: u32) -> Scores {
  let key = place_of(row, head_quad);
  var product = Scores();
  var quad = 0u;
  for (; quad + 4u <= params.key_quads; quad += 4u) {
    let key_a = key_quad(key, quad);
    let key_b = key_quad(key, quad + 1u);
    let key_c = key_quad(key, quad + 2u);
    let key_d = key_quad(key, quad + 3u);
    let a = queries_of(places, quad);
    let b = queries_of(places, quad + 1u);
    let c = queries_of(places, quad + 2u);
    let d = queries_of(places, quad + 3u);
    product += products(a, key_a);
    product += products(b, key_b);
    product += products(c, key_c);
    product += products(d, key_d);
  }
  for (; quad < params.key_quads; quad++) {
    product += products(queries_of(places, quad), key_quad(key, quad));
  }
  return score_of(product);
}

fn masked_scores(queries: Queries, tile: Tile, key: u32, head_quad: u32) -> array<Scores, KEYS> {
  let lowest = Scores(LOWEST);
  if (key < tile.start || key >= tile.end) {
    return array<Scores, KEYS>(lowest);
  }
  let score = score_with(queries.places, row_behind(tile.start_row, key - tile.start), head_quad);
  return array<Scores, KEYS>(select(lowest, score, sees(queries, key)));
}

fn highest_of(scores: array<Scores, KEYS>) -> Scores {
  return scores[0];
}

fn keep_weights(scores: array<Scores, KEYS>, highest: Scores, lane: u32) {
  weights[lane] = weight_of(scores[0], highest);
}

fn tile_sum(first_lane: u32) -> Scores {
  var sum = Scores();
  for (var lane = first_lane; lane < first_lane + LANES; lane += 4u) {
    sum += weights[lane] + weights[lane + 1u] + weights[lane + 2u] + weights[lane + 3u];
  }
  return sum;
}
