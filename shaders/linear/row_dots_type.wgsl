// What row_dots gives: a lane's share of the products of four rows, and of the input's squares.
struct RowDots {
  sums: vec4f,
  squares: f32,
}
