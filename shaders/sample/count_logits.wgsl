// Counts a block's tokens in the bins of a table (shaders/sample/bins.wgsl):
//   COARSE: all that are no further than widest_gap below the best;
//   FINE_K: those of the coarse bin that the top_k-th token is in;
//   FINE_P: of what top_k keeps, those of the coarse bin in which top_p of the mass is reached.
// logits [vocab]; peaks [blocks]; bins [BIN_WORDS]. A workgroup for a block.
// Needs: blocks, best, find, places, bins and reply (shaders/sample), control (shaders/control).
override TABLE: u32 = 0u;

struct Params {
  vocab: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> reply: Reply;
@group(0) @binding(2) var<storage, read> logits: array<f32>;
@group(0) @binding(3) var<storage, read> peaks: array<Peak>;
@group(0) @binding(4) var<storage, read_write> bins: array<atomic<u32>>;

// The coarse bin whose tokens are counted finely, and the last place that counts at all.
struct Wanted {
  bin: u32,
  last: u32,
}

fn around_k(first_group: bool, lane: u32) -> Wanted {
  let found = find(COARSE, BINS, f32(reply.top_k), lane);
  if (first_group && lane == 0u) {
    remember(K_COARSE, found.index);
    remember(K_BEFORE, bitcast<u32>(found.before));
  }
  return Wanted(found.index, LAST_PLACE);
}

fn around_p(first_group: bool, lane: u32) -> Wanted {
  var last = LAST_PLACE;
  var total = 0.0;
  if (reply.top_k > 0u) {
    last = place_of_k(lane);
    total = sum_of(MASSES + FINE_K, last % BINS + 1u, lane);
    total += sum_of(MASSES + COARSE, last / BINS, lane);
  } else {
    total = sum_of(MASSES + COARSE, BINS, lane);
  }
  let found = find(MASSES + COARSE, last / BINS + 1u, reply.top_p * total, lane);
  if (first_group && lane == 0u) {
    remember(P_COARSE, found.index);
    remember(P_LEFT, bitcast<u32>(reply.top_p * total - found.before));
  }
  return Wanted(found.index, last);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  if (control.fault != 0u) {
    return;
  }
  let best = best_peak(params.vocab, lane).logit;
  var wanted = Wanted(0u, LAST_PLACE);
  if (TABLE == FINE_K) {
    wanted = around_k(group.x == 0u, lane);
  }
  if (TABLE == FINE_P) {
    wanted = around_p(group.x == 0u, lane);
  }
  let run = BLOCK / LANES;
  let first = group.x * BLOCK + lane * run;
  for (var token = first; token < min(params.vocab, first + run); token++) {
    let gap = best - logits[token];
    if (gap <= reply.widest_gap) {
      let place = place_of(gap);
      if (TABLE == COARSE) {
        count_token(COARSE, place / BINS, gap);
      } else if (place / BINS == wanted.bin && place <= wanted.last) {
        count_token(TABLE, place % BINS, gap);
      }
    }
  }
}
