// y[pair, row] = gated(gate[row, :] . x[token, :] + gate_bias[row],
//                      up[row, :] . x[token, :] + up_bias[row])
// as expert_gate_up.wgsl, to the bit, for the tiles of pairs that group_tokens.wgsl listed: each
// weight is decoded once for the four pairs of a tile, each input read once for two rows.
// x [tokens, hidden]; y [pairs, ffn]; pairs and tiles: see group_tokens.wgsl.
// A slot is slot_words words; gate and up [ffn, hidden], each in any format, start at gate_first
// and up_first within it. Only tiles whose slot lies in this arena, which holds the slots
// [arena_first, arena_first + arena_slots), are computed.
// With BIASED, gate_bias and up_bias [ffn], f32, start at gate_bias_first and up_bias_first.
// LANES lanes share two rows, 2 * ROWS rows a workgroup. hidden is a multiple of 8.
// Needs: load_gate and load_up (shaders/formats), tile_dots (shaders/linear), row_sum4
// (shaders/reduce), gated (shaders/act), control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 32u;
override BIASED: u32 = 0u;

struct Params {
  hidden: u32,
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
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> pairs: array<u32>;
@group(0) @binding(3) var<storage, read> tiles: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

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
  // Places past the tile's last pair compute that one again.
  let last = tile.z - 1u;
  let members = vec4u(
    pairs[tile.y],
    pairs[tile.y + min(1u, last)],
    pairs[tile.y + min(2u, last)],
    pairs[tile.y + last],
  );
  let wanted = 2u * (group.x * ROWS + local.y);
  // Rows past the end compute the last one again: all lanes have to reach the barriers of row_sum4.
  let row = min(vec2u(wanted, wanted + 1u), vec2u(params.ffn - 1u));
  let units = params.hidden / 8u;
  let count = params.ffn * params.hidden;
  let base = slot * params.slot_words;
  let gate_base = base + params.gate_first;
  let up_base = base + params.up_first;
  let first = members / params.top_k * (2u * units);
  var gates = array<vec4f, 2>();
  var ups = array<vec4f, 2>();
  for (var unit = local.x; unit < units; unit += LANES) {
    let at = first + 2u * unit;
    let low = array<vec4f, 4>(x[at.x], x[at.y], x[at.z], x[at.w]);
    let high = array<vec4f, 4>(x[at.x + 1u], x[at.y + 1u], x[at.z + 1u], x[at.w + 1u]);
    let units_of = row * units + unit;
    gates[0] += tile_dots(load_gate(gate_base, count, units_of.x), low, high);
    gates[1] += tile_dots(load_gate(gate_base, count, units_of.y), low, high);
    ups[0] += tile_dots(load_up(up_base, count, units_of.x), low, high);
    ups[1] += tile_dots(load_up(up_base, count, units_of.y), low, high);
  }
  finish(wanted, local, members, tile.z, base, gates[0], ups[0]);
  finish(wanted + 1u, local, members, tile.z, base, gates[1], ups[1]);
}

// Sums up over the lanes and writes the first `filled` of a tile's results in a row.
fn finish(row: u32, local: vec3u, members: vec4u, filled: u32, base: u32, gates: vec4f, ups: vec4f) {
  let gate = row_sum4(gates, local.x, local.y);
  let up = row_sum4(ups, local.x, local.y);
  if (local.x != 0u || row >= params.ffn) {
    return;
  }
  var biases = vec2f(0.0);
  if (BIASED != 0u) {
    biases.x = bitcast<f32>(weights[base + params.gate_bias_first + row]);
    biases.y = bitcast<f32>(weights[base + params.up_bias_first + row]);
  }
  for (var place = 0u; place < filled; place++) {
    y[members[place] * params.ffn + row] = gated(gate[place] + biases.x, up[place] + biases.y);
  }
}
