// scores[tokens - 1] = logits[target] - max - log(sum(exp(logits - max)))
// where target = token_ids[tokens], the token after the pass, and max is the highest logit: the
// log-probability of that token. Not finite when a logit is NaN.
// logits [vocab], scores [max tokens]; target is below vocab. One workgroup.
// Needs: control (shaders/control).
override LANES: u32 = 64u;

const MAX_LANES = 256u;
const LOWEST = -3.4028234e38;

struct Params {
  vocab: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> scores: array<f32>;

var<workgroup> highest: array<f32, MAX_LANES>;
var<workgroup> sums: array<f32, MAX_LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
  if (control.fault != 0u) {
    return;
  }
  var own = LOWEST;
  for (var index = lane; index < params.vocab; index += LANES) {
    own = max(own, logits[index]);
  }
  highest[lane] = own;
  workgroupBarrier();
  var top = LOWEST;
  for (var other = 0u; other < LANES; other++) {
    top = max(top, highest[other]);
  }
  var sum = 0.0;
  for (var index = lane; index < params.vocab; index += LANES) {
    sum += exp(logits[index] - top);
  }
  sums[lane] = sum;
  workgroupBarrier();
  if (lane != 0u) {
    return;
  }
  for (var other = 1u; other < LANES; other++) {
    sum += sums[other];
  }
  scores[control.tokens - 1u] = logits[control.token_ids[control.tokens]] - top - log(sum);
}
