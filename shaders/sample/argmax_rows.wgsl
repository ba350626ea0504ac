// result[token] = the index of the highest logit of the token's row, the lowest such index;
// NOTHING when none is above -infinity (all NaN, say)
// logits [tokens, vocab], result [tokens]. One workgroup a token.
// Needs: control (shaders/control).
override LANES: u32 = 64u;

const MAX_LANES = 256u;
const NOTHING = 0xffffffffu;
const LOWEST = -3.4028234e38;

struct Params {
  vocab: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> result: array<u32>;

var<workgroup> best_logits: array<f32, MAX_LANES>;
var<workgroup> best_tokens: array<u32, MAX_LANES>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  if (control.fault != 0u || group.x >= control.tokens) {
    return;
  }
  let first = group.x * params.vocab;
  var logit = LOWEST;
  var best = NOTHING;
  for (var index = lane; index < params.vocab; index += LANES) {
    let value = logits[first + index];
    if (value > logit || (best == NOTHING && value >= logit)) {
      logit = value;
      best = index;
    }
  }
  best_logits[lane] = logit;
  best_tokens[lane] = best;
  workgroupBarrier();
  if (lane != 0u) {
    return;
  }
  for (var other = 1u; other < LANES; other++) {
    let candidate = best_tokens[other];
    if (candidate != NOTHING) {
      let higher = best_logits[other] > logit;
      let tied = best_logits[other] == logit && candidate < best;
      if (best == NOTHING || higher || tied) {
        logit = best_logits[other];
        best = candidate;
      }
    }
  }
  result[group.x] = best;
}
