// The best logit of all.
// Needs: blocks (shaders/sample/blocks.wgsl), peaks [blocks] of Peak.

// The best of all blocks' peaks.
fn best_peak(vocab: u32, lane: u32) -> Peak {
  let blocks = block_count(vocab);
  let run = (blocks + LANES - 1u) / LANES;
  var best = Peak(LOWEST, NO_TOKEN);
  for (var block = lane * run; block < min(blocks, (lane + 1u) * run); block++) {
    let peak = peaks[block];
    if (peak.token != NO_TOKEN && (best.token == NO_TOKEN || peak.logit > best.logit)) {
      best = peak;
    }
  }
  return best_lane_peak(best, lane);
}
