// y[pair, row] = gated(gate[row, :] . input[token, :] + gate_bias[row],
//                      up[row, :] . input[token, :] + up_bias[row])
// where input = x, or its RMS norm (shaders/linear/input), for the tiles of pairs that
// group_tokens.wgsl listed: each weight is decoded once for the four pairs of a tile, each input
// read once for two rows. A pair's sums are added in the order of expert_gate_up.wgsl, whatever it
// shares a tile with.
// x [tokens, cols]; vectors: the norm's weights [cols], if there is one; y [pairs, ffn]; pairs and
// tiles: see group_tokens.wgsl.
// A slot is slot_words words; gate and up [ffn, cols], each in any format, start at gate_first
// and up_first within it. Only tiles whose slot lies in this arena, which holds the slots
// [arena_first, arena_first + arena_slots), are computed.
// With BIASED, gate_bias and up_bias [ffn], f32, start at gate_bias_first and up_bias_first.
// LANES lanes share two rows, 2 * ROWS rows a workgroup. cols is a multiple of 8.
// Needs: load_gate and load_up (shaders/formats), tile_dots and input_tile (shaders/linear),
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
  let wanted = 2u * (group.x * ROWS + local.y);
  // Rows past the end compute the last one again: all lanes have to reach the barriers of row_sum4.
  let row = min(vec2u(wanted, wanted + 1u), vec2u(params.ffn - 1u));
  let units = params.cols / UNIT_COLS;
  let count = params.ffn * params.cols;
  let base = slot * params.slot_words;
  let gate_base = base + params.gate_first;
  let up_base = base + params.up_first;
  let first = members / params.top_k * (params.cols / 4u);
  var gates = array<vec4f, 2>();
  var ups = array<vec4f, 2>();
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
  }
  let factors = vec4f(
    input_factor(squares.x, local.x, local.y),
    input_factor(squares.y, local.x, local.y),
    input_factor(squares.z, local.x, local.y),
    input_factor(squares.w, local.x, local.y),
  );
  for (var side = 0u; side < 2u; side++) {
    let gate_sums = row_sum4(select(gates[1], gates[0], side == 0u), local.x, local.y);
    let up_sums = row_sum4(select(ups[1], ups[0], side == 0u), local.x, local.y);
    let own_row = wanted + side;
    if (local.x == 0u && own_row < params.ffn) {
      let biases = biases_of(own_row, base);
      let gate = fma(gate_sums, factors, vec4f(biases.x));
      let up = fma(up_sums, factors, vec4f(biases.y));
      for (var place = 0u; place < tile.z; place++) {
        y[members[place] * params.ffn + own_row] = gated(gate[place], up[place]);
      }
    }
  }
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

// Those of gate and of up in a row, 0 where there are none.
fn biases_of(row: u32, base: u32) -> vec2f {
  if (BIASED == 0u) {
    return vec2f();
  }
  return vec2f(
    bitcast<f32>(weights[base + params.gate_bias_first + row]),
    bitcast<f32>(weights[base + params.up_bias_first + row]),
  );
}
