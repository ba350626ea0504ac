// y[token, row] = residual[token, row] + sum over choices of
//   weight[pair] * (down[row, :] . x[pair, :] + bias[row]), where pair = token * top_k + choice,
// in the router's order and with the additions of expert_down.wgsl and combine.wgsl, whose work it
// does at once. Without has_residual, residual is not read.
// With SHARED, shared_scale * shared_down[row, :] . x_shared[token, :] is added, too: x_shared are
// shared_ffn numbers of each token from number shared_first of x on. With SHARED 2 it counts by the
// number of its token, from number shared_weights_first of x on, besides. With SHARED 3 it is not
// added, but written to y [tokens, hidden] from number apart_first on.
// x [pairs, ffn]; residual and y [tokens, hidden]; slots and expert_weights [pairs], this layer's
// from routing_first and weights_first on. All experts
// lie in one arena of arena_slots slots, laid out as expert_gate_up.wgsl says; what lies in none
// counts nothing. down [hidden, ffn] starts at down_first and, with BIASED, bias [hidden] at
// bias_first.
// LANES lanes share a tile of FOURS times four rows, FOURS being 1 or 2; a workgroup has ROWS of
// them, CHOICES for each of its tiles. They share a token's experts, and the shared ones count as
// one more; the sums of each are kept in one of PLACES, at least as many, and added in order. With
// CHOICES 1, where nothing has to be kept, PLACES is 1. ffn and shared_ffn are multiples of 8.
// Needs: weights, row_dots_down (shaders/linear/row_dots.wgsl), shared_down_dots (shared),
// raw_number (shaders/linear/unit), row_sum4 (shaders/reduce), control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 16u;
override FOURS: u32 = 1u;
override CHOICES: u32 = 1u;
override PLACES: u32 = 1u;
override BIASED: u32 = 0u;
override SHARED: u32 = 0u;

struct Params {
  hidden: u32,
  ffn: u32,
  top_k: u32,
  routing_first: u32,
  weights_first: u32,
  slot_words: u32,
  down_first: u32,
  arena_slots: u32,
  bias_first: u32,
  has_residual: u32,
  shared_ffn: u32,
  shared_first: u32,
  shared_weights_first: u32,
  shared_scale: f32,
  apart_first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<InputElement>;
@group(0) @binding(2) var<storage, read> slots: array<u32>;
@group(0) @binding(3) var<storage, read> expert_weights: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

// Each choice's sums of a tile's rows: four of them, then the next four, of each place.
var<workgroup> kept: array<vec4f, ROWS / CHOICES * PLACES * FOURS>;

// A lane's share of what a choice gives, before it is weighed; 0 for what is absent.
fn choice_dots(token: u32, choice: u32, tile: u32, lane: u32) -> RowDots {
  if (choice < params.top_k) {
    let pair = token * params.top_k + choice;
    let slot = slots[params.routing_first + pair];
    if (slot < params.arena_slots) {
      let down = slot * params.slot_words + params.down_first;
      return row_dots_down(down, params.hidden, params.ffn, tile, pair * params.ffn / 4u, lane);
    }
  } else if (SHARED != 0u && choice == params.top_k) {
    return shared_down_dots(tile, (params.shared_first + token * params.shared_ffn) / 4u, lane);
  }
  return RowDots();
}

// Sums of four rows from `row` on with the biases of a choice's expert.
fn biased(token: u32, choice: u32, row: u32, sums: vec4f) -> vec4f {
  if (BIASED == 0u || choice >= params.top_k) {
    return sums;
  }
  let slot = slots[params.routing_first + token * params.top_k + choice];
  if (slot >= params.arena_slots) {
    return vec4f();
  }
  return sums + biases(slot * params.slot_words + params.bias_first, row);
}

// `totals` and what an expert gives, whose sums these are.
fn weighed(totals: RowDots, token: u32, choice: u32, sums: RowDots) -> RowDots {
  let pair = token * params.top_k + choice;
  let weight = vec4f(expert_weights[params.weights_first + pair]);
  return RowDots(
    fma(weight, sums.sums, totals.sums),
    fma(weight, sums.more, totals.more),
    0.0,
  );
}

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let token = group.y;
  if (control.fault != 0u || token >= control.tokens) {
    return;
  }
  let own = local.y % CHOICES;
  let place = local.y / CHOICES;
  let tile = (group.x * (ROWS / CHOICES) + place) * 4u * FOURS;
  let choices = params.top_k + min(SHARED, 1u);
  var totals = RowDots();
  var shared_sums = RowDots();
  for (var first = 0u; first < choices; first += CHOICES) {
    let choice = first + own;
    // All lanes have to reach the barriers of row_sum4.
    let dots = choice_dots(token, choice, tile, local.x);
    var sums = RowDots();
    sums.sums = biased(token, choice, tile, row_sum4(dots.sums, local.x, local.y));
    if (FOURS == 2u) {
      sums.more = biased(token, choice, tile + 4u, row_sum4(dots.more, local.x, local.y));
    }
    if (CHOICES > 1u) {
      if (local.x == 0u && choice < choices) {
        kept[(place * PLACES + choice) * FOURS] = sums.sums;
        if (FOURS == 2u) {
          kept[(place * PLACES + choice) * FOURS + 1u] = sums.more;
        }
      }
    } else if (choice < params.top_k) {
      totals = weighed(totals, token, choice, sums);
    } else {
      shared_sums = sums;
    }
  }
  if (CHOICES > 1u) {
    workgroupBarrier();
    for (var choice = 0u; choice < params.top_k; choice++) {
      totals = weighed(totals, token, choice, kept_of(place, choice));
    }
    if (SHARED != 0u) {
      shared_sums = kept_of(place, params.top_k);
    }
  }
  if (local.x == 0u && own == 0u) {
    write_rows(token, tile, totals, shared_sums);
  }
}

fn kept_of(place: u32, choice: u32) -> RowDots {
  let at = (place * PLACES + choice) * FOURS;
  return RowDots(kept[at], kept[at + FOURS - 1u], 0.0);
}

fn write_rows(token: u32, tile: u32, totals: RowDots, shared_dots: RowDots) {
  // As a product of its own scales what it gives, and adds it.
  var shared_factor = params.shared_scale;
  var shared_weight = 1.0;
  if (SHARED == 2u) {
    shared_factor = raw_number(params.shared_weights_first, token);
    shared_weight = params.shared_scale;
  }
  for (var four = 0u; four < FOURS; four++) {
    let shared_sums = four_of(shared_dots, four) * shared_weight;
    let row = tile + 4u * four;
    for (var i = 0u; i < 4u && row + i < params.hidden; i++) {
      let at = token * params.hidden + row + i;
      var rest = 0.0;
      if (params.has_residual != 0u) {
        rest = residual[at];
      }
      if (SHARED == 3u) {
        y[params.apart_first + at] = shared_sums[i] * shared_factor;
      } else if (SHARED != 0u) {
        rest = fma(shared_sums[i], shared_factor, rest);
      }
      y[at] = four_of(totals, four)[i] + rest;
    }
  }
}

// Those of four rows, 0 where there are none; of the last row for rows past the end.
fn biases(first: u32, row: u32) -> vec4f {
  if (BIASED == 0u) {
    return vec4f();
  }
  let at = vec4u(first) + min(vec4u(row, row + 1u, row + 2u, row + 3u), vec4u(params.hidden - 1u));
  return bitcast<vec4f>(vec4u(weights[at.x], weights[at.y], weights[at.z], weights[at.w]));
}
