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
// LANES lanes share a tile of FOURS times four rows, FOURS being 1 or 2; ROWS tiles share a
// workgroup. ffn and shared_ffn are multiples of 8.
// Needs: weights, row_dots_down (shaders/linear/row_dots.wgsl), shared_down_dots (shared),
// raw_number (shaders/linear/unit), row_sum4 (shaders/reduce), control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 16u;
override FOURS: u32 = 1u;
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

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let token = group.y;
  if (control.fault != 0u || token >= control.tokens) {
    return;
  }
  let tile = (group.x * ROWS + local.y) * 4u * FOURS;
  var totals = RowDots();
  for (var choice = 0u; choice < params.top_k; choice++) {
    let pair = token * params.top_k + choice;
    let slot = slots[params.routing_first + pair];
    // The same in all lanes: they reach the barriers of row_sum4 together.
    if (slot < params.arena_slots) {
      let base = slot * params.slot_words;
      let first = pair * params.ffn / 4u;
      let down = base + params.down_first;
      let dots = row_dots_down(down, params.hidden, params.ffn, tile, first, local.x);
      let weight = expert_weights[params.weights_first + pair];
      let bias_first = base + params.bias_first;
      totals.sums += weight * (row_sum4(dots.sums, local.x, local.y) + biases(bias_first, tile));
      if (FOURS == 2u) {
        let more = row_sum4(dots.more, local.x, local.y);
        totals.more += weight * (more + biases(bias_first, tile + 4u));
      }
    }
  }
  var shared_dots = RowDots();
  var shared_weight = 1.0;
  if (SHARED != 0u) {
    let first = (params.shared_first + token * params.shared_ffn) / 4u;
    shared_dots = shared_down_dots(tile, first, local.x);
    if (SHARED == 2u) {
      shared_weight = raw_number(params.shared_weights_first, token);
    }
  }
  for (var four = 0u; four < FOURS; four++) {
    var shared_sums = vec4f();
    if (SHARED != 0u) {
      shared_sums = row_sum4(four_of(shared_dots, four), local.x, local.y) * params.shared_scale;
    }
    let row = tile + 4u * four;
    for (var i = 0u; local.x == 0u && i < 4u && row + i < params.hidden; i++) {
      let at = token * params.hidden + row + i;
      var rest = 0.0;
      if (params.has_residual != 0u) {
        rest = residual[at];
      }
      if (SHARED == 3u) {
        y[params.apart_first + at] = shared_sums[i];
      } else if (SHARED != 0u) {
        rest += shared_weight * shared_sums[i];
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
