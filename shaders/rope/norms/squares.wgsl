// Sums of squares in the workgroup's memory: SUMS for each of MOST_HEADS heads, of which the total
// is in one order, whatever the lanes.
// Needs: MOST_HEADS, SUMS (the kernel, or shaders/rope/heads.wgsl).
var<workgroup> squares: array<f32, SUMS * MOST_HEADS>;

// The total of the sums from `first` on, which all lanes have written before a barrier.
fn total_of_squares(first: u32) -> f32 {
  var total = 0.0;
  for (var sum = 0u; sum < SUMS; sum++) {
    total += squares[first + sum];
  }
  return total;
}
