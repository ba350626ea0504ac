// y[pair, row] = gated(gate[row, :] . input[token, :] + gate_bias[row],
//                      up[row, :] . input[token, :] + up_bias[row])
// for each pair = token * top_k + choice of a token and one of its experts; input = x, or a
// norm of it (shaders/linear/input).
// x [tokens, cols]; y [pairs, ffn]; slots [pairs]: the slot in which the pair's expert lies.
// A slot is slot_words words; gate and up [ffn, cols], each in any format, start at gate_first
// and up_first within it. Only pairs whose slot lies in this arena, which holds the slots
// [arena_first, arena_first + arena_slots), are computed.
// With BIASED, gate_bias and up_bias [ffn], f32, start at gate_bias_first and up_bias_first.
// With SHARED a token has one pair more, of the experts that all tokens share: shared_ffn numbers
// of each token from number shared_first of y on. With SHARED 2, they are followed, from number
// shared_weights_first on, by sigmoid(row . input) of each token, row being
// shared_vector. With SHARED 3 their norm has weights of its own, which are shared_vector.
// A row whose gate is closed (ReGLU) needs no up: a tile of such rows skips it.
// vectors: those of the norm, each [cols], if any, then shared_vector [cols] from number
// shared_vector on.
// LANES lanes share a tile of FOURS times four rows, FOURS being 1 or 2; ROWS tiles share a
// workgroup. cols is a multiple of 8.
// Needs: row_dots_gate and row_dots_up (shaders/linear/row_dots.wgsl), shared_gate_dots and
// shared_up_dots (shared), input_quad (shaders/linear/unit), ready_input and input_factor
// (shaders/linear/input), row_sum and row_sum4 (shaders/reduce), gated and is_closed (shaders/act),
// control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 16u;
override FOURS: u32 = 1u;
override BIASED: u32 = 0u;
override SHARED: u32 = 0u;

struct Params {
  cols: u32,
  ffn: u32,
  top_k: u32,
  routing_first: u32,
  slot_words: u32,
  gate_first: u32,
  up_first: u32,
  arena_first: u32,
  arena_slots: u32,
  gate_bias_first: u32,
  up_bias_first: u32,
  shared_ffn: u32,
  shared_first: u32,
  shared_vector: u32,
  shared_weights_first: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<InputElement>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read> slots: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

// A tile of the shared experts' rows, for a token whose input starts at quad `first`.
fn compute_shared(token: u32, tile: u32, first: u32, local: vec3u) {
  let norm = select(0u, params.shared_vector / 4u, SHARED == 3u);
  ready_input(first, norm, local.x, local.y);
  let gates = shared_gate_dots(tile, first, local.x);
  let ups = shared_up_dots(tile, first, local.x);
  var weight = 0.0;
  if (SHARED == 2u && tile == 0u) {
    // In the order of a product of its own (row_dots.wgsl).
    let gate_first = params.shared_vector / 4u;
    for (var unit = local.x; unit < params.cols / 8u; unit += LANES) {
      let quad = 2u * unit;
      weight += fused_dot(vectors[gate_first + quad], input_quad(first, quad))
        + fused_dot(vectors[gate_first + quad + 1u], input_quad(first, quad + 1u));
    }
  }
  let factor = input_factor(gates.squares, local.x, local.y);
  for (var four = 0u; four < FOURS; four++) {
    let gate = row_sum4(four_of(gates, four), local.x, local.y) * factor;
    let up = row_sum4(four_of(ups, four), local.x, local.y) * factor;
    let row = tile + 4u * four;
    for (var i = 0u; local.x == 0u && i < 4u && row + i < params.shared_ffn; i++) {
      y[params.shared_first + token * params.shared_ffn + row + i] = gated(gate[i], up[i]);
    }
  }
  let logit = row_sum(weight, local.x, local.y) * factor;
  if (SHARED == 2u && tile == 0u && local.x == 0u) {
    y[params.shared_weights_first + token] = 1.0 / (1.0 + exp(-logit));
  }
}

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let pairs = params.top_k + min(SHARED, 1u);
  let token = group.y / pairs;
  let choice = group.y % pairs;
  let tile = (group.x * ROWS + local.y) * 4u * FOURS;
  let first = token * params.cols / 4u;
  if (control.fault != 0u || token >= control.tokens) {
    return;
  }
  // The grid is as wide as the wider of both networks.
  let rows = select(params.ffn, params.shared_ffn, choice == params.top_k);
  if (group.x * ROWS * 4u * FOURS >= rows) {
    return;
  }
  if (choice == params.top_k) {
    compute_shared(token, tile, first, local);
    return;
  }
  let pair = token * params.top_k + choice;
  // Wraps for slots before the arena and for ABSENT, which then are out of range as well.
  let slot = slots[params.routing_first + pair] - params.arena_first;
  if (slot >= params.arena_slots) {
    return;
  }
  let base = slot * params.slot_words;
  let gate_first = base + params.gate_first;
  ready_input(first, 0u, local.x, local.y);
  let dots = row_dots_gate(gate_first, params.ffn, params.cols, tile, first, local.x);
  let factor = input_factor(dots.squares, local.x, local.y);
  // Whole sums, and their biases.
  var gates = RowDots();
  let gate_bias = base + params.gate_bias_first;
  let factors = vec4f(factor);
  gates.sums = fma(row_sum4(dots.sums, local.x, local.y), factors, biases(gate_bias, tile));
  var closed = is_closed4(gates.sums);
  if (FOURS == 2u) {
    let more = row_sum4(dots.more, local.x, local.y);
    gates.more = fma(more, factors, biases(gate_bias, tile + 4u));
    closed = closed && is_closed4(gates.more);
  }
  var ups = RowDots();
  if (!closed) {
    let up_first = base + params.up_first;
    ups = row_dots_up(up_first, params.ffn, params.cols, tile, first, local.x);
  }
  for (var four = 0u; four < FOURS; four++) {
    let row = tile + 4u * four;
    let sums = row_sum4(four_of(ups, four), local.x, local.y);
    let up = fma(sums, factors, biases(base + params.up_bias_first, row));
    let gate = four_of(gates, four);
    for (var i = 0u; local.x == 0u && i < 4u && row + i < params.ffn; i++) {
      y[pair * params.ffn + row + i] = gated(gate[i], up[i]);
    }
  }
}

fn is_closed4(gate: vec4f) -> bool {
  return is_closed(gate.x) && is_closed(gate.y) && is_closed(gate.z) && is_closed(gate.w);
}

// Those of four rows, 0 where there are none; of the last row for rows past the end.
fn biases(first: u32, row: u32) -> vec4f {
  if (BIASED == 0u) {
    return vec4f();
  }
  let at = vec4u(first) + min(vec4u(row, row + 1u, row + 2u, row + 3u), vec4u(params.ffn - 1u));
  return bitcast<vec4f>(vec4u(weights[at.x], weights[at.y], weights[at.z], weights[at.w]));
}
