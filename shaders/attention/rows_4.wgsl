// Four queries at a time: each key and value that is read serves all four.
//
// Every such part supplies the same names for ROWS queries, whose numbers stand side by side: a
// row of Scores, of Counts and of Flags for each, and of Mixed for four dimensions of each.
const ROWS = 4u;
alias Scores = vec4f;
alias Counts = vec4u;
alias Flags = vec4<bool>;
alias Mixed = mat4x4f;

// first, first + 1 and so on, but never last or beyond.
fn rows_from(first: u32, last: u32) -> Counts {
  return min(vec4u(first) + vec4u(0u, 1u, 2u, 3u), vec4u(last));
}

// Four dimensions of the queries that start at firsts.
fn queries_of(firsts: Counts, quad: u32) -> Mixed {
  return mat4x4f(
    query_quad(firsts.x + quad),
    query_quad(firsts.y + quad),
    query_quad(firsts.z + quad),
    query_quad(firsts.w + quad),
  );
}

fn sinks_of(heads: Counts) -> Scores {
  return vec4f(sinks[heads.x], sinks[heads.y], sinks[heads.z], sinks[heads.w]);
}

// Four dimensions of the products q . k.
fn products(queries: Mixed, key: vec4f) -> Scores {
  return vec4f(
    fused_dot(queries[0], key),
    fused_dot(queries[1], key),
    fused_dot(queries[2], key),
    fused_dot(queries[3], key),
  );
}

// Each row, and its weight times the value.
fn plus_weighted(rows: Mixed, weights: Scores, value: vec4f) -> Mixed {
  return mat4x4f(
    fma(vec4f(weights.x), value, rows[0]),
    fma(vec4f(weights.y), value, rows[1]),
    fma(vec4f(weights.z), value, rows[2]),
    fma(vec4f(weights.w), value, rows[3]),
  );
}

// Each row, and its factor times the other one.
fn plus_scaled(rows: Mixed, others: Mixed, factors: Scores) -> Mixed {
  return mat4x4f(
    fma(others[0], vec4f(factors.x), rows[0]),
    fma(others[1], vec4f(factors.y), rows[1]),
    fma(others[2], vec4f(factors.z), rows[2]),
    fma(others[3], vec4f(factors.w), rows[3]),
  );
}

// Each row times its factor.
fn scaled(rows: Mixed, factors: Scores) -> Mixed {
  return mat4x4f(
    rows[0] * factors.x,
    rows[1] * factors.y,
    rows[2] * factors.z,
    rows[3] * factors.w,
  );
}

fn quad_of(rows: Mixed, row: u32) -> vec4f {
  var all = rows;
  return all[row];
}

fn count_of(rows: Counts, row: u32) -> u32 {
  return rows[row];
}

fn number_of(rows: Scores, row: u32) -> f32 {
  return rows[row];
}
