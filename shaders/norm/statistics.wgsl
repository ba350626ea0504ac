// row_statistics(first, quads, centred, epsilon, index): what a layer norm takes from the row of x
// that starts at quad `first`, its mean and 1 / sqrt(variance + epsilon). Without centred the mean
// is taken for 0.
// All invocations of the workgroup call it, LANES * ROWS of them; index is theirs.
// Sums have one order, however many there are: of every PARTIALS-th quad, then of those sums. So a
// kernel that takes the norm on its way has the bits of one that takes nothing but the norm.
const PARTIALS = 64u;

// Of the numbers, then of the squares of what they are from the mean.
var<workgroup> row_partials: array<f32, 2u * PARTIALS>;

fn row_statistics(first: u32, quads: u32, centred: bool, epsilon: f32, index: u32) -> vec2f {
  let width = 4.0 * f32(quads);
  var mean = 0.0;
  if (centred) {
    for (var partial = index; partial < PARTIALS; partial += LANES * ROWS) {
      var sum = 0.0;
      for (var quad = partial; quad < quads; quad += PARTIALS) {
        sum += dot(x[first + quad], vec4f(1.0));
      }
      row_partials[partial] = sum;
    }
    workgroupBarrier();
    mean = sum_of_partials(0u) / width;
  }
  for (var partial = index; partial < PARTIALS; partial += LANES * ROWS) {
    var squares = 0.0;
    for (var quad = partial; quad < quads; quad += PARTIALS) {
      let deviation = x[first + quad] - mean;
      squares += dot(deviation, deviation);
    }
    row_partials[PARTIALS + partial] = squares;
  }
  workgroupBarrier();
  return vec2f(mean, inverseSqrt(sum_of_partials(PARTIALS) / width + epsilon));
}

fn sum_of_partials(first: u32) -> f32 {
  var sum = 0.0;
  for (var partial = 0u; partial < PARTIALS; partial++) {
    sum += row_partials[first + partial];
  }
  return sum;
}
