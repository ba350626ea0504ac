// score = sqrt(log(1 + exp(logit))), each expert by itself. See `softmax.wgsl` for what a score
// function supplies.
fn router_terms() -> vec2f {
  return vec2f(0.0);
}

// log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)), where nothing overflows.
fn router_score(expert: u32, terms: vec2f) -> f32 {
  let logit = logits[expert];
  return sqrt(max(logit, 0.0) + log_of_1_plus(exp(-abs(logit))));
}

// log(1 + x) for x from 0 to 1: 2 atanh(x / (2 + x)) as a series, whose rest is below 2^-25 of it.
// The built-in log is only good to 2^-21 near 1, which is nothing where x is small.
fn log_of_1_plus(x: f32) -> f32 {
  let t = x / (2.0 + x);
  let u = t * t;
  var series = 1.0 / 13.0;
  series = 1.0 / 11.0 + u * series;
  series = 1.0 / 9.0 + u * series;
  series = 1.0 / 7.0 + u * series;
  series = 1.0 / 5.0 + u * series;
  series = 1.0 / 3.0 + u * series;
  return 2.0 * t * (1.0 + u * series);
}
