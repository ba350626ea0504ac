// y[pair, row] = gated(gate[row, :] . input[token, :] + gate_bias[row],
//                      up[row, :] . input[token, :] + up_bias[row])
// where input = x, or its RMS norm (shaders/linear/input), for the tiles of pairs that
// group_tokens.wgsl listed: each weight is decoded once for the eight pairs of a tile, each input
// read once for two rows of both. A pair's sums are added in the order of expert_gate_up.wgsl,
// whatever it shares a tile with.
// x [tokens, cols]; vectors: the norm's weights [cols], if there is one; y [pairs, ffn]; pairs and
// tiles: see group_tokens.wgsl.
// A slot is slot_words words; gate and up [ffn, cols], each in any format, start at gate_first
// and up_first within it. Only tiles whose slot lies in this arena, which holds the slots
// [arena_first, arena_first + arena_slots), are computed.
// With BIASED, gate_bias and up_bias [ffn], f32, start at gate_bias_first and up_bias_first.
// LANES lanes share two rows, 2 * ROWS rows a workgroup. cols is a multiple of 8.
// Needs: load_gate and load_up (shaders/formats), tile_dots and input_tile (shaders/linear), members_of (tile_members.wgsl),
// input_factor (input), row_sum4 (shaders/reduce), gated (shaders/act), control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 32u;
override BIASED: u32 = 0u;

struct Params {
  cols: u32,
  ffn: u32,
  top_k: u32,
  slot_words: u32,
  gate_first: u32,
  up_first: u32,
  arena_first: u32,
  arena_slots: u32,
  slot_count: u32,  // of all arenas: the grid goes by it
  gate_bias_first: u32,
  up_bias_first: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<InputElement>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read> pairs: array<u32>;
@group(0) @binding(4) var<storage, read> tiles: array<vec4u>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

// A unit of weights of each of two rows of gate and of up.
struct Weights {
  gate_a: WeightUnit,
  gate_b: WeightUnit,
  up_a: WeightUnit,
  up_b: WeightUnit,
}

// What four pairs have of those rows, and the squares of their inputs.
struct Share {
  gate_a: vec4f,
  gate_b: vec4f,
  up_a: vec4f,
  up_b: vec4f,
  squares: vec4f,
}

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  if (control.fault != 0u || group.y >= tiles[0].x) {
    return;
  }
  let tile = tiles[group.y + 1u];
  // Wraps for slots before the arena, which then are out of range as well.
  let slot = tile.x - params.arena_first;
  if (slot >= params.arena_slots) {
    return;
  }
  // The same in the whole workgroup.
  let has_more = tile.z > 4u;
  let members = members_of(tile, 0u);
  let more_members = members_of(tile, 4u);
  let wanted = 2u * (group.x * ROWS + local.y);
  // Rows past the end compute the last one again: all lanes have to reach the barriers of row_sum4.
  let row = min(vec2u(wanted, wanted + 1u), vec2u(params.ffn - 1u));
  let units = params.cols / UNIT_COLS;
  let count = params.ffn * params.cols;
  let base = slot * params.slot_words;
  let gate_base = base + params.gate_first;
  let up_base = base + params.up_first;
  let first = members / params.top_k * (params.cols / 4u);
  let more_first = more_members / params.top_k * (params.cols / 4u);
  var share = Share();
  var more = Share();
  for (var unit = local.x; unit < units; unit += LANES) {
    let units_of = row * units + unit;
    let w = Weights(
      load_gate(gate_base, count, units_of.x),
      load_gate(gate_base, count, units_of.y),
      load_up(up_base, count, units_of.x),
      load_up(up_base, count, units_of.y),
    );
    share = added(share, w, first, unit);
    if (has_more) {
      more = added(more, w, more_first, unit);
    }
  }
  finish(share, wanted, members, min(tile.z, 4u), base, local);
  if (has_more) {
    finish(more, wanted, more_members, tile.z - 4u, base, local);
  }
}

// `share` and what a unit of the inputs that start at quads `first` of x adds to it.
fn added(share: Share, w: Weights, first: vec4u, unit: u32) -> Share {
  let inputs = input_tile(first, unit);
  let squares = vec4f(
    inputs[0].squares,
    inputs[1].squares,
    inputs[2].squares,
    inputs[3].squares,
  );
  return Share(
    share.gate_a + tile_dots(w.gate_a, inputs),
    share.gate_b + tile_dots(w.gate_b, inputs),
    share.up_a + tile_dots(w.up_a, inputs),
    share.up_b + tile_dots(w.up_b, inputs),
    share.squares + squares,
  );
}

// Adds up over the lanes, and writes the first `filled` of four pairs' results in two rows.
fn finish(share: Share, row: u32, members: vec4u, filled: u32, base: u32, local: vec3u) {
  let factors = vec4f(
    input_factor(share.squares.x, local.x, local.y),
    input_factor(share.squares.y, local.x, local.y),
    input_factor(share.squares.z, local.x, local.y),
    input_factor(share.squares.w, local.x, local.y),
  );
  for (var side = 0u; side < 2u; side++) {
    let gates = select(share.gate_b, share.gate_a, side == 0u);
    let ups = select(share.up_b, share.up_a, side == 0u);
    let gate = row_sum4(gates, local.x, local.y) * factors;
    let up = row_sum4(ups, local.x, local.y) * factors;
    if (local.x == 0u && row + side < params.ffn) {
      write(row + side, members, filled, base, gate, up);
    }
  }
}

// The first `filled` of four pairs' results in a row.
fn write(row: u32, members: vec4u, filled: u32, base: u32, gate: vec4f, up: vec4f) {
  var biases = vec2f(0.0);
  if (BIASED != 0u) {
    biases.x = bitcast<f32>(weights[base + params.gate_bias_first + row]);
    biases.y = bitcast<f32>(weights[base + params.up_bias_first + row]);
  }
  for (var place = 0u; place < filled; place++) {
    y[members[place] * params.ffn + row] = gated(gate[place] + biases.x, up[place] + biases.y);
  }
}
