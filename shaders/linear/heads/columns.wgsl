// The same with the transposed matrix. See rows.wgsl.
//   product[col] = sum over `rows` rows r of weight[head, first_row + r, col] * x[token, head, r]
// An invocation has 8 columns, ROWS of them side by side read neighbouring words; LANES share the
// rows.
// Needs: load_weights (shaders/formats), row_sum4 (shaders/reduce), control (shaders/control).
const MAX_TOKENS = 4u;

fn lane_and_row(index: u32) -> vec2u {
  return vec2u(index / ROWS, index % ROWS);
}

fn head_products(head: u32, tile: u32, first_token: u32, at: vec2u) {
  let units = params.head_cols / 8u;
  let wanted = tile * ROWS + at.y;
  // Units past the end compute the last one again: all have to reach the barriers of row_sum4.
  let unit = min(wanted, units - 1u);
  let count = params.heads * params.head_rows * params.head_cols;
  let first_unit = (head * params.head_rows + params.first_row) * units + unit;
  // From a token to the next.
  let stride = params.heads * params.x_width;
  let first = first_token * stride + head * params.x_width;
  var lower: array<vec4f, MAX_TOKENS>;
  var upper: array<vec4f, MAX_TOKENS>;
  for (var row = at.x; row < params.rows; row += LANES) {
    let w = load_weights(0u, count, first_unit + row * units);
    for (var next = 0u; next < TOKENS; next++) {
      let number = first + next * stride + row;
      let value = vec4f(head_input(head, number / 4u)[number % 4u]);
      lower[next] = fma(w[0], value, lower[next]);
      upper[next] = fma(w[1], value, upper[next]);
    }
  }
  for (var next = 0u; next < TOKENS; next++) {
    let low = row_sum4(lower[next], at.x, at.y);
    let high = row_sum4(upper[next], at.x, at.y);
    let token = first_token + next;
    if (at.x == 0u && wanted < units && token < control.tokens) {
      for (var i = 0u; i < 4u; i++) {
        store_product(token, head, 8u * unit + i, low[i]);
        store_product(token, head, 8u * unit + 4u + i, high[i]);
      }
    }
  }
}
