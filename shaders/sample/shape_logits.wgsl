// Prepares the choice of a token: penalises the logits of recent tokens in place, if so asked,
// finds the highest logit of each block, and empties the bins.
//   logit = logit > 0 ? logit / penalty : logit * penalty    for tokens among the last `window`
// logits [vocab]; seen [vocab]: 1 + the last position of a token, 0 for none; peaks [blocks];
// bins [bin_words]; reply: see shaders/sample/reply.wgsl. A workgroup for a block.
// Needs: blocks (shaders/sample), control (shaders/control).
// Source: CTRL, arXiv 1909.05858, section 4.1.
struct Params {
  vocab: u32,
  penalises: u32,
  bin_words: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> reply: Reply;
@group(0) @binding(2) var<storage, read> seen: array<u32>;
@group(0) @binding(3) var<storage, read_write> logits: array<f32>;
@group(0) @binding(4) var<storage, read_write> peaks: array<Peak>;
@group(0) @binding(5) var<storage, read_write> bins: array<u32>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  if (control.fault != 0u) {
    return;
  }
  let first_word = group.x * LANES + lane;
  for (var word = first_word; word < params.bin_words; word += grid.x * LANES) {
    bins[word] = 0u;
  }
  let penalises = params.penalises != 0u && reply.penalty != 1.0;
  let count = control.position + control.tokens;
  let run = BLOCK / LANES;
  let first = group.x * BLOCK + lane * run;
  var best = Peak(LOWEST, NO_TOKEN);
  for (var token = first; token < min(params.vocab, first + run); token++) {
    var logit = logits[token];
    if (penalises && seen[token] != 0u && seen[token] + reply.window > count) {
      logit = select(logit * reply.penalty, logit / reply.penalty, logit > 0.0);
      logits[token] = logit;
    }
    if (logit > best.logit || (best.token == NO_TOKEN && logit >= best.logit)) {
      best = Peak(logit, token);
    }
  }
  let peak = best_lane_peak(best, lane);
  if (lane == 0u) {
    peaks[group.x] = peak;
  }
}
