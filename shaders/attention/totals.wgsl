// Sums of a softmax, and how they are renormalised.
// Needs: Scores (shaders/attention/rows_*).
const LOWEST = -3.4e38;

// The highest of some scores, and the sum of exp(score - highest).
struct Total {
  highest: Scores,
  sum: Scores,
}

fn nothing() -> Total {
  return Total(Scores(LOWEST), Scores());
}

// What to multiply what was summed of `a` by, so that it goes by the highest of `a` and `b`.
fn factor_of(a: Total, b: Total) -> Scores {
  return exp(a.highest - max(a.highest, b.highest));
}

fn total_of(a: Total, b: Total) -> Total {
  let sum = fma(a.sum, factor_of(a, b), b.sum * factor_of(b, a));
  return Total(max(a.highest, b.highest), sum);
}
