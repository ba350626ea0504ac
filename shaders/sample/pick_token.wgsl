// Chooses a token and ends a pass: draws one by its weight or, where nothing is to be drawn, takes
// the most probable. The draw's number depends on the seed and the token's position alone.
// logits, seen [vocab]; peaks, sums [blocks]; bins: what sum_weights remembers; result [1].
// One workgroup.
// Needs: blocks, best, find, places, weight, uniform, give and reply (shaders/sample),
// control (shaders/control/write.wgsl).
override DRAWS: u32 = 1u;

// What `amount` gives: sums of blocks, or weights of the block that was found.
const SUMS = 0u;
const WEIGHTS = 1u;

struct Params {
  vocab: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> reply: Reply;
@group(0) @binding(2) var<storage, read> logits: array<f32>;
@group(0) @binding(3) var<storage, read> peaks: array<Peak>;
@group(0) @binding(4) var<storage, read> bins: array<u32>;
@group(0) @binding(5) var<storage, read> sums: array<f32>;
@group(0) @binding(6) var<storage, read_write> seen: array<u32>;
@group(0) @binding(7) var<storage, read_write> result: array<u32>;

var<workgroup> fault: u32;
var<private> best: Peak;
var<private> first_of_block: u32;

fn amount(what: u32, index: u32) -> f32 {
  if (what == SUMS) {
    return sums[index];
  }
  let token = first_of_block + index;
  if (token >= params.vocab) {
    return 0.0;
  }
  return weight_of(best.logit - logits[token], bins[CUTOFF]);
}

fn draw(lane: u32) -> u32 {
  let blocks = block_count(params.vocab);
  let total = sum_of(SUMS, blocks, lane);
  let index = control.position + control.tokens;
  let wanted = total * uniform_at(reply.seed_low, reply.seed_high, index);
  let block = find(SUMS, blocks, wanted, lane);
  first_of_block = block.index * BLOCK;
  let place = find(WEIGHTS, BLOCK, wanted - block.before, lane);
  // Where no weight is a number, the best logit tells whether there is any.
  return select(best.token, first_of_block + place.index, total > 0.0);
}

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
  if (lane == 0u) {
    fault = atomicLoad(&control.fault);
  }
  if (workgroupUniformLoad(&fault) != 0u) {
    return;
  }
  best = best_peak(params.vocab, lane);
  var token = best.token;
  if (DRAWS != 0u && reply.temperature > 0.0) {
    token = draw(lane);
  }
  if (lane == 0u) {
    if (control.continues != 0u && token < params.vocab) {
      seen[token] = control.position + control.tokens + 1u;
    }
    give(token);
  }
}
