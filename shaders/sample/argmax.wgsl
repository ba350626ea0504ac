// result[0] = the index of the highest logit, the lowest such index;
// NOTHING when none is above -infinity (all NaN, say)
// logits [vocab]; reply: see shaders/sample/reply.wgsl. One workgroup. Ends a pass.
// Needs: give (shaders/sample), control (shaders/control/write.wgsl).
override LANES: u32 = 64u;

const MAX_LANES = 256u;
const LOWEST = -3.4028234e38;

struct Params {
  vocab: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> reply: Reply;
@group(0) @binding(3) var<storage, read_write> result: array<u32>;

var<workgroup> fault: u32;
var<workgroup> best_logits: array<f32, MAX_LANES>;
var<workgroup> best_tokens: array<u32, MAX_LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
  if (lane == 0u) {
    fault = atomicLoad(&control.fault);
  }
  if (workgroupUniformLoad(&fault) != 0u) {
    return;
  }
  var logit = LOWEST;
  var token = NOTHING;
  for (var index = lane; index < params.vocab; index += LANES) {
    if (logits[index] > logit || (token == NOTHING && logits[index] >= logit)) {
      logit = logits[index];
      token = index;
    }
  }
  best_logits[lane] = logit;
  best_tokens[lane] = token;
  workgroupBarrier();
  if (lane != 0u) {
    return;
  }
  for (var other = 1u; other < LANES; other++) {
    let candidate = best_tokens[other];
    if (candidate != NOTHING) {
      let higher = best_logits[other] > logit;
      let tied = best_logits[other] == logit && candidate < token;
      if (token == NOTHING || higher || tied) {
        logit = best_logits[other];
        token = candidate;
      }
    }
  }
  give(token);
}
