// The sums of squares that norms are made of, in one order, whatever the lanes: SUMS sums of every
// SUMS-th number, each one lane's, and of these the total. MOST_HEADS of them are kept at once.
// Needs: MOST_HEADS (the kernel).
const SUMS = 32u;

var<workgroup> squares: array<f32, SUMS * MOST_HEADS>;

// The total of the sums from `first` on, which all lanes have written before a barrier.
fn total_of_squares(first: u32) -> f32 {
  var total = 0.0;
  for (var sum = 0u; sum < SUMS; sum++) {
    total += squares[first + sum];
  }
  return total;
}
