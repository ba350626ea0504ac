// Sums of a list of amounts, and the place in it where their sum reaches a target. A lane has a run
// of the list, so that additions have one order, wherever they are asked for.
// Needs: amount(what, index), at least 0 (the kernel's), LANES (shaders/sample/blocks.wgsl).

// A place in a list, and the sum of all before it.
struct Found {
  index: u32,
  before: f32,
}

var<workgroup> run_sums: array<f32, LANES>;
var<workgroup> shared_found: Found;

fn sum_runs(what: u32, count: u32, lane: u32) {
  let run = (count + LANES - 1u) / LANES;
  var sum = 0.0;
  for (var index = lane * run; index < min(count, (lane + 1u) * run); index++) {
    sum += amount(what, index);
  }
  run_sums[lane] = sum;
  workgroupBarrier();
}

// The sum of the first `count` amounts.
fn sum_of(what: u32, count: u32, lane: u32) -> f32 {
  sum_runs(what, count, lane);
  var sum = 0.0;
  for (var other = 0u; other < LANES; other++) {
    sum += run_sums[other];
  }
  workgroupBarrier();
  return sum;
}

// The first of `count` places with an amount where the sum, its own included, is `target_sum` or
// more; the last one with an amount where rounding keeps the sum below it.
fn find(what: u32, count: u32, target_sum: f32, lane: u32) -> Found {
  sum_runs(what, count, lane);
  if (lane == 0u) {
    shared_found = walk(what, count, target_sum);
  }
  workgroupBarrier();
  let found = shared_found;
  workgroupBarrier();
  return found;
}

fn walk(what: u32, count: u32, target_sum: f32) -> Found {
  let run = (count + LANES - 1u) / LANES;
  var chosen = 0u;
  var start = 0.0;
  var sum = 0.0;
  for (var other = 0u; other < LANES && !(sum >= target_sum && sum > 0.0); other++) {
    if (run_sums[other] > 0.0) {
      chosen = other;
      start = sum;
      sum += run_sums[other];
    }
  }
  var found = Found(chosen * run, start);
  sum = start;
  var reached = false;
  for (var index = chosen * run; index < min(count, (chosen + 1u) * run) && !reached; index++) {
    let own = amount(what, index);
    if (own > 0.0) {
      found = Found(index, sum);
      sum += own;
      reached = sum >= target_sum;
    }
  }
  return found;
}
