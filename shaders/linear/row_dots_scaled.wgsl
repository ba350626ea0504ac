// row_dots (row_dots.wgsl), the same bits, for a matrix of a format in which four units share a
// scale. A lane that has rows alone goes through them in order, and reads scales once for four
// units; lanes that share rows take units in turn.
// Needs: scale_weights and unit_weights (shaders/formats), input_unit and unit_dot (unit), RowDots
// and FourScales.
fn row_dots(base: u32, rows: u32, cols: u32, row: u32, first: u32, lane: u32) -> RowDots {
  let units = cols / UNIT_COLS;
  let count = rows * cols;
  let four = vec4u(row, row + 1u, row + 2u, row + 3u);
  let at = min(four, vec4u(rows - 1u)) * units;
  let more_at = min(four + 4u, vec4u(rows - 1u)) * units;
  var sums = vec4f();
  var more = vec4f();
  var squares = 0.0;
  let step = select(LANES, 4u, LANES == 1u);
  for (var start = lane; start < units; start += step) {
    let scales = row_dots_scales(base, count, at + start);
    var more_scales = FourScales();
    if (FOURS == 2u) {
      more_scales = row_dots_scales(base, count, more_at + start);
    }
    let end = select(start + 1u, min(start + 4u, units), LANES == 1u);
    for (var unit = start; unit < end; unit++) {
      let input = input_unit(first, unit);
      squares += input.squares;
      sums += row_dots_four(base, count, at + unit, scales, input);
      if (FOURS == 2u) {
        more += row_dots_four(base, count, more_at + unit, more_scales, input);
      }
    }
  }
  return RowDots(sums, more, squares);
}

// The scales of units `at` of four rows.
fn row_dots_scales(base: u32, count: u32, at: vec4u) -> FourScales {
  let a = scale_weights(base, count, at.x);
  let b = scale_weights(base, count, at.y);
  let c = scale_weights(base, count, at.z);
  let d = scale_weights(base, count, at.w);
  return FourScales(vec4f(a.x, b.x, c.x, d.x), vec4f(a.y, b.y, c.y, d.y));
}

// The products of units `at` of four rows with a unit of the input.
fn row_dots_four(
  base: u32,
  count: u32,
  at: vec4u,
  scales: FourScales,
  input: InputUnit,
) -> vec4f {
  let first = scales.first;
  let second = scales.second;
  return vec4f(
    unit_dot(unit_weights(base, count, at.x, vec2f(first.x, second.x)), input),
    unit_dot(unit_weights(base, count, at.y, vec2f(first.y, second.y)), input),
    unit_dot(unit_weights(base, count, at.z, vec2f(first.z, second.z)), input),
    unit_dot(unit_weights(base, count, at.w, vec2f(first.w, second.w)), input),
  );
}
