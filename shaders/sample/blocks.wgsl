// Logits in blocks, one for a workgroup of 32 lanes, and the best of them.
// Needs: peaks [blocks] of Peak (group 0).
const LANES = 32u;
const BLOCK = 1024u;
const NO_TOKEN = 0xffffffffu;
const LOWEST = -3.4028234e38;

// The highest logit of a block, the first of equal ones; NO_TOKEN where none is a number.
struct Peak {
  logit: f32,
  token: u32,
}

fn block_count(vocab: u32) -> u32 {
  return (vocab + BLOCK - 1u) / BLOCK;
}

var<workgroup> lane_peaks: array<Peak, LANES>;

// The best of the lanes' peaks, of which an earlier lane has lower tokens.
fn best_lane_peak(own: Peak, lane: u32) -> Peak {
  lane_peaks[lane] = own;
  workgroupBarrier();
  var best = lane_peaks[0];
  for (var other = 1u; other < LANES; other++) {
    let peak = lane_peaks[other];
    if (peak.token != NO_TOKEN && (best.token == NO_TOKEN || peak.logit > best.logit)) {
      best = peak;
    }
  }
  workgroupBarrier();
  return best;
}
