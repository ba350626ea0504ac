// Finds which tokens may be drawn by counting them in the bins of their places.
//
// A bin has a count and a mass, the sum of exp(-gap) of its tokens, as integers: their sums do not
// depend on the order in which lanes add. A mass is in units of 2^-31, low word and high word.
// Needs: bins [BIN_WORDS] of atomic<u32>, places, reply and find (shaders/sample).
const MASS_ONE = 2147483648.0;

// What `amount` gives: counts of a table, or masses from MASSES on.
const MASSES = 3u;

// A count, or a mass in units of 2^-31.
fn amount(what: u32, bin: u32) -> f32 {
  let first = (what % MASSES) * TABLE_WORDS + 3u * bin;
  if (what < MASSES) {
    return f32(atomicLoad(&bins[first]));
  }
  return f32(atomicLoad(&bins[first + 2u])) * 4294967296.0 + f32(atomicLoad(&bins[first + 1u]));
}

fn count_token(table: u32, bin: u32, gap: f32) {
  let first = table * TABLE_WORDS + 3u * bin;
  let mass = u32(exp(-gap) * MASS_ONE);
  atomicAdd(&bins[first], 1u);
  let low = atomicAdd(&bins[first + 1u], mass);
  if (low + mass < low) {
    atomicAdd(&bins[first + 2u], 1u);
  }
}

fn remember(word: u32, value: u32) {
  atomicStore(&bins[word], value);
}

fn remembered(word: u32) -> u32 {
  return atomicLoad(&bins[word]);
}

// The last place that top_k keeps, once FINE_K is counted.
fn place_of_k(lane: u32) -> u32 {
  let left = f32(reply.top_k) - bitcast<f32>(remembered(K_BEFORE));
  return remembered(K_COARSE) * BINS + find(FINE_K, BINS, left, lane).index;
}

// The last place that top_p keeps, once FINE_P is counted.
fn place_of_p(lane: u32) -> u32 {
  let left = bitcast<f32>(remembered(P_LEFT));
  return remembered(P_COARSE) * BINS + find(MASSES + FINE_P, BINS, left, lane).index;
}
