// Places of tokens in the order of their logits, and where what is known of them is kept.
//
// A token's gap is how far its logit is below the best one, its place the gap in steps of 2^-15:
// tokens of one place are kept or left out together, and so are all with gaps of 32 and more. Of a
// place's 20 bits, tokens are counted by the upper ten, and those of one such bin by the lower.
const BINS = 1024u;
const STEPS = 32768.0;
const LAST_PLACE = BINS * BINS - 1u;

// Tables of bins: by upper bits; by lower bits around the cutoff of top_k, and of top_p.
const COARSE = 0u;
const FINE_K = 1u;
const FINE_P = 2u;
const TABLE_WORDS = 3u * BINS;

// Words behind the tables: what a step has found for the next one.
const K_COARSE = 3u * TABLE_WORDS;
const K_BEFORE = K_COARSE + 1u;
const P_COARSE = K_COARSE + 2u;
const P_LEFT = K_COARSE + 3u;
const CUTOFF = K_COARSE + 4u;

fn place_of(gap: f32) -> u32 {
  return u32(min(gap * STEPS, f32(LAST_PLACE)));
}
