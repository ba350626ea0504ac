// y[pair, row] = down[row, :] . x[pair, :] + bias[row]
// as expert_down.wgsl, to the bit, for the tiles of pairs that group_tokens.wgsl listed: each
// weight is decoded once for the four pairs of a tile, each input read once for four rows.
// x [pairs, ffn]; y [pairs, hidden]; pairs and tiles: see group_tokens.wgsl.
// down [hidden, ffn] starts at down_first within the slot. Only tiles whose slot lies in this arena
// are computed (see grouped_gate_up.wgsl).
// With BIASED, bias [hidden], f32, starts at bias_first within the slot.
// LANES lanes share four rows, 4 * ROWS rows a workgroup. ffn is a multiple of 8.
// Needs: weights and load_weights (shaders/formats), tile_dots and input_tile (shaders/linear),
// row_sum4 (shaders/reduce), control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 32u;
override BIASED: u32 = 0u;

struct Params {
  hidden: u32,
  ffn: u32,
  top_k: u32,  // the grid goes by it
  slot_words: u32,
  down_first: u32,
  arena_first: u32,
  arena_slots: u32,
  slot_count: u32,  // of all arenas: the grid goes by it
  bias_first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<InputElement>;
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
  let wanted = 4u * (group.x * ROWS + local.y);
  let row = min(wanted + vec4u(0u, 1u, 2u, 3u), vec4u(params.hidden - 1u));
  let units = params.ffn / UNIT_COLS;
  let count = params.ffn * params.hidden;
  let base = slot * params.slot_words;
  let down_base = base + params.down_first;
  let first = members * (params.ffn / 4u);
  var sums = array<vec4f, 4>();
  for (var unit = local.x; unit < units; unit += LANES) {
    let inputs = input_tile(first, unit);
    let units_of = row * units + unit;
    sums[0] += tile_dots(load_weights(down_base, count, units_of.x), inputs);
    sums[1] += tile_dots(load_weights(down_base, count, units_of.y), inputs);
    sums[2] += tile_dots(load_weights(down_base, count, units_of.z), inputs);
    sums[3] += tile_dots(load_weights(down_base, count, units_of.w), inputs);
  }
  finish(wanted, local, members, tile.z, base, sums[0]);
  finish(wanted + 1u, local, members, tile.z, base, sums[1]);
  finish(wanted + 2u, local, members, tile.z, base, sums[2]);
  finish(wanted + 3u, local, members, tile.z, base, sums[3]);
}

// Sums up over the lanes and writes the first `filled` of a tile's results in a row.
fn finish(row: u32, local: vec3u, members: vec4u, filled: u32, base: u32, sums: vec4f) {
  let total = row_sum4(sums, local.x, local.y);
  if (local.x != 0u || row >= params.hidden) {
    return;
  }
  var bias = 0.0;
  if (BIASED != 0u) {
    bias = bitcast<f32>(weights[base + params.bias_first + row]);
  }
  for (var place = 0u; place < filled; place++) {
    y[members[place] * params.hidden + row] = total[place] + bias;
  }
}
