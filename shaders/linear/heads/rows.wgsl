// The products of a head's matrix with its share of each token's input, by rows:
//   product[row] = dot(weight[head, first_row + row, :], x[token, head, 0 .. head_cols])
// weight [heads, head_rows, head_cols], of whose rows each head uses `rows`; x
// [tokens, heads, x_width] as quads, with room for a multiple of TOKENS tokens. head_cols is a
// multiple of 8, x_width of 4.
// LANES lanes share a row, ROWS rows a workgroup: head_products(head, tile, first_token, at)
// computes those of tile `tile` for TOKENS tokens, 1 or 4, which share what is read of the weights.
// The kernel gives the quads of x as head_input(head, index), head being whose they are, and takes
// each product as store_product(token, head, index, value).
// Needs: load_weights (shaders/formats), row_sum4 (shaders/reduce), control (shaders/control).

// The lane and the row of an invocation.
fn lane_and_row(index: u32) -> vec2u {
  return vec2u(index % LANES, index / LANES);
}

fn head_unit_dot(w: array<vec4f, 2>, head: u32, quad: u32) -> f32 {
  return fused_dot(w[0], head_input(head, quad)) + fused_dot(w[1], head_input(head, quad + 1u));
}

fn head_products(head: u32, tile: u32, first_token: u32, at: vec2u) {
  let wanted = tile * ROWS + at.y;
  // Rows past the end compute the last one again: all lanes have to reach the barriers of row_sum4.
  let row = min(wanted, params.rows - 1u);
  let units = params.head_cols / 8u;
  let count = params.heads * params.head_rows * params.head_cols;
  let first_unit = (head * params.head_rows + params.first_row + row) * units;
  // From a token to the next.
  let quads = params.heads * (params.x_width / 4u);
  let first = first_token * quads + head * (params.x_width / 4u);
  var sums = vec4f();
  for (var unit = at.x; unit < units; unit += LANES) {
    let w = load_weights(0u, count, first_unit + unit);
    let quad = first + 2u * unit;
    sums.x += head_unit_dot(w, head, quad);
    if (TOKENS > 1u) {
      sums += vec4f(
        0.0,
        head_unit_dot(w, head, quad + quads),
        head_unit_dot(w, head, quad + 2u * quads),
        head_unit_dot(w, head, quad + 3u * quads),
      );
    }
  }
  let totals = row_sum4(sums, at.x, at.y);
  for (var next = 0u; next < TOKENS; next++) {
    let token = first_token + next;
    if (at.x == 0u && wanted < params.rows && token < control.tokens) {
      store_product(token, head, row, totals[next]);
    }
  }
}
