// One query at a time, for passes of one token in which no heads share keys. See rows_4.wgsl.
const ROWS = 1u;
alias Scores = f32;
alias Counts = u32;
alias Flags = bool;
alias Mixed = vec4f;

fn rows_from(first: u32, last: u32) -> Counts {
  return min(first, last);
}

fn queries_of(firsts: Counts, quad: u32) -> Mixed {
  return query_quad(firsts + quad);
}

fn sinks_of(heads: Counts) -> Scores {
  return sinks[heads];
}

fn products(queries: Mixed, key: vec4f) -> Scores {
  return fused_dot(queries, key);
}

fn plus_weighted(rows: Mixed, weights: Scores, value: vec4f) -> Mixed {
  return fma(vec4f(weights), value, rows);
}

fn plus_scaled(rows: Mixed, others: Mixed, factors: Scores) -> Mixed {
  return fma(others, vec4f(factors), rows);
}

fn scaled(rows: Mixed, factors: Scores) -> Mixed {
  return rows * factors;
}

fn quad_of(rows: Mixed, row: u32) -> vec4f {
  return rows;
}

fn count_of(rows: Counts, row: u32) -> u32 {
  return rows;
}

fn number_of(rows: Scores, row: u32) -> f32 {
  return rows;
}
