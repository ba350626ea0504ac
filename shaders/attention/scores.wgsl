// What attention computes of a lane's KEYS keys, and how sums are renormalised.
// Needs: params (attention.wgsl), Scores and the rest (shaders/attention/rows_*), cache_quad,
// key_place (shaders/cache).
const KEYS = 4u;
const LOWEST = -3.4e38;

// The scores of keys that no query sees.
fn nothing_seen() -> array<Scores, KEYS> {
  let lowest = Scores(LOWEST);
  return array<Scores, KEYS>(lowest, lowest, lowest, lowest);
}

// The highest of some scores, and the sum of exp(score - highest).
struct Total {
  highest: Scores,
  sum: Scores,
}

// What to multiply what was summed of `a` and of `b` by, so that both go by the highest of the two.
fn factor_of(a: Total, b: Total) -> Scores {
  return exp(a.highest - max(a.highest, b.highest));
}

fn total_of(a: Total, b: Total) -> Total {
  return Total(max(a.highest, b.highest), a.sum * factor_of(a, b) + b.sum * factor_of(b, a));
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

// The scores of the queries that start at `firsts` with the keys in `rows` of the cache.
fn scores_of(firsts: Counts, rows: vec4u, head_quad: u32) -> array<Scores, KEYS> {
  let a = place_of(rows.x, head_quad);
  let b = place_of(rows.y, head_quad);
  let c = place_of(rows.z, head_quad);
  let d = place_of(rows.w, head_quad);
  var of_a = Scores();
  var of_b = Scores();
  var of_c = Scores();
  var of_d = Scores();
  for (var quad = 0u; quad < params.key_quads; quad++) {
    let queries = queries_of(firsts, quad);
    of_a += product_quad(queries, a, quad);
    of_b += product_quad(queries, b, quad);
    of_c += product_quad(queries, c, quad);
    of_d += product_quad(queries, d, quad);
  }
  return array<Scores, KEYS>(score_of(of_a), score_of(of_b), score_of(of_c), score_of(of_d));
}
