// y[pair, row] = gated(gate[row, :] . input[token, :] + gate_bias[row],
//                      up[row, :] . input[token, :] + up_bias[row])
// where input = x, or its RMS norm (shaders/linear/input), for the tiles of pairs that
// group_tokens.wgsl listed: each weight is decoded once for the four pairs of a tile, each input
// read once for two rows of gate and of up, or for four with FOURS 2. A pair's sums are added in the order of expert_gate_up.wgsl, whatever it
// shares a tile with.
// x [tokens, cols]; vectors: the norm's weights [cols], if there is one; y [pairs, ffn]; pairs and
// tiles: see group_tokens.wgsl.
// A slot is slot_words words; gate and up [ffn, cols], each in any format, start at gate_first
// and up_first within it. Only tiles whose slot lies in this arena, which holds the slots
// [arena_first, arena_first + arena_slots), are computed.
// With BIASED, gate_bias and up_bias [ffn], f32, start at gate_bias_first and up_bias_first.
// LANES lanes share so many rows, of which a workgroup has ROWS times as many. cols is a multiple of
// 8.
// Needs: load_gate and load_up (shaders/formats), tile_dots and input_tile (shaders/linear),
// input_factor (input), row_sum4 (shaders/reduce), gated (shaders/act), control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 32u;
override FOURS: u32 = 1u;
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
  let members = members_of(tile);
  let wanted = 2u * FOURS * (group.x * ROWS + local.y);
  // Rows past the end compute the last one again: all lanes have to reach the barriers of row_sum4.
  let row = min(vec4u(wanted, wanted + 1u, wanted + 2u, wanted + 3u), vec4u(params.ffn - 1u));
  let units = params.cols / UNIT_COLS;
  let count = params.ffn * params.cols;
  let base = slot * params.slot_words;
  let gate_base = base + params.gate_first;
  let up_base = base + params.up_first;
  let first = members / params.top_k * (params.cols / 4u);
  var gates = array<vec4f, 4>();
  var ups = array<vec4f, 4>();
  var squares = vec4f();
  for (var unit = local.x; unit < units; unit += LANES) {
    let inputs = input_tile(first, unit);
    squares += vec4f(
      inputs[0].squares,
      inputs[1].squares,
      inputs[2].squares,
      inputs[3].squares,
    );
    let units_of = row * units + unit;
    gates[0] += tile_dots(load_gate(gate_base, count, units_of.x), inputs);
    gates[1] += tile_dots(load_gate(gate_base, count, units_of.y), inputs);
    ups[0] += tile_dots(load_up(up_base, count, units_of.x), inputs);
    ups[1] += tile_dots(load_up(up_base, count, units_of.y), inputs);
    if (FOURS == 2u) {
      gates[2] += tile_dots(load_gate(gate_base, count, units_of.z), inputs);
      gates[3] += tile_dots(load_gate(gate_base, count, units_of.w), inputs);
      ups[2] += tile_dots(load_up(up_base, count, units_of.z), inputs);
      ups[3] += tile_dots(load_up(up_base, count, units_of.w), inputs);
    }
  }
  let factors = vec4f(
    input_factor(squares.x, local.x, local.y),
    input_factor(squares.y, local.x, local.y),
    input_factor(squares.z, local.x, local.y),
    input_factor(squares.w, local.x, local.y),
  );
  let place = Place(members, tile.z, base, factors);
  finish(wanted, local, place, gates[0], ups[0]);
  finish(wanted + 1u, local, place, gates[1], ups[1]);
  if (FOURS == 2u) {
    finish(wanted + 2u, local, place, gates[2], ups[2]);
    finish(wanted + 3u, local, place, gates[3], ups[3]);
  }
}

// The pairs of a tile, the first `filled` of which are its own, where their expert lies, and the
// factors of their inputs.
struct Place {
  members: vec4u,
  filled: u32,
  base: u32,
  factors: vec4f,
}

// The pairs of a tile; places past the last one have that one again.
fn members_of(tile: vec4u) -> vec4u {
  let last = tile.z - 1u;
  return vec4u(
    pairs[tile.y],
    pairs[tile.y + min(1u, last)],
    pairs[tile.y + min(2u, last)],
    pairs[tile.y + last],
  );
}

// Adds up a row's products over the lanes, and writes a tile's results.
fn finish(row: u32, local: vec3u, place: Place, gate: vec4f, up: vec4f) {
  let gate_sums = row_sum4(gate, local.x, local.y);
  let up_sums = row_sum4(up, local.x, local.y);
  if (local.x != 0u || row >= params.ffn) {
    return;
  }
  var biases = vec2f(0.0);
  if (BIASED != 0u) {
    biases.x = bitcast<f32>(weights[place.base + params.gate_bias_first + row]);
    biases.y = bitcast<f32>(weights[place.base + params.up_bias_first + row]);
  }
  let gates = fma(gate_sums, place.factors, vec4f(biases.x));
  let ups = fma(up_sums, place.factors, vec4f(biases.y));
  for (var i = 0u; i < place.filled; i++) {
    y[place.members[i] * params.ffn + row] = gated(gates[i], ups[i]);
  }
}
