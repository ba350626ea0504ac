// How a reply's tokens are chosen and what ends it: written by the host when a reply starts.
// temperature: 0 takes the most probable token; top_k: 0 keeps all; top_p: 1 keeps all;
// widest_gap: how far below the best logit a token may be; penalty: 1 does nothing; window: at how
// many of the last tokens it looks; seed_low, seed_high: of the draws; end_tokens [end_count].
struct Reply {
  end_count: u32,
  temperature: f32,
  top_k: u32,
  top_p: f32,
  widest_gap: f32,
  penalty: f32,
  window: u32,
  seed_low: u32,
  seed_high: u32,
  end_tokens: array<u32>,
}
