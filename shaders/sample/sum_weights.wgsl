// sums[block] = the sum of weights, exp(-gap / temperature), of a block's tokens that may be drawn;
// remembers the last place of those.
// logits [vocab]; peaks, sums [blocks]; bins [BIN_WORDS], counted as top_k and top_p ask for.
// A workgroup for a block.
// Needs: blocks, best, find, places, bins, weight and reply (shaders/sample),
// control (shaders/control).
struct Params {
  vocab: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> reply: Reply;
@group(0) @binding(2) var<storage, read> logits: array<f32>;
@group(0) @binding(3) var<storage, read> peaks: array<Peak>;
@group(0) @binding(4) var<storage, read_write> bins: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read_write> sums: array<f32>;

var<workgroup> lane_sums: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  if (control.fault != 0u) {
    return;
  }
  let best = best_peak(params.vocab, lane).logit;
  var cutoff = LAST_PLACE;
  if (reply.top_p < 1.0) {
    cutoff = place_of_p(lane);
  } else if (reply.top_k > 0u) {
    cutoff = place_of_k(lane);
  }
  if (group.x == 0u && lane == 0u) {
    remember(CUTOFF, cutoff);
  }
  let run = BLOCK / LANES;
  let first = group.x * BLOCK + lane * run;
  var sum = 0.0;
  for (var token = first; token < min(params.vocab, first + run); token++) {
    sum += weight_of(best - logits[token], cutoff);
  }
  lane_sums[lane] = sum;
  workgroupBarrier();
  if (lane == 0u) {
    for (var other = 1u; other < LANES; other++) {
      sum += lane_sums[other];
    }
    sums[group.x] = sum;
  }
}
