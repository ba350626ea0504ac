// What row_dots gives: a lane's share of the products of four rows, of the four rows behind them
// with FOURS 2, and of the input's squares.
struct RowDots {
  sums: vec4f,
  more: vec4f,
  squares: f32,
}

// What four units of each of four rows share: both numbers of each row (shaders/formats).
struct FourScales {
  first: vec4f,
  second: vec4f,
}

// Those of the first four rows, or of the second.
fn four_of(dots: RowDots, four: u32) -> vec4f {
  return select(dots.sums, dots.more, four == 1u);
}
