// y[pair, row] = down[row, :] . x[pair, :] + bias[row]
// as expert_down.wgsl, to the bit, for the tiles of pairs that group_tokens.wgsl listed: each
// weight is decoded once for the eight pairs of a tile, each input read once for four rows.
// x [pairs, ffn]; y [pairs, hidden]; pairs and tiles: see group_tokens.wgsl.
// down [hidden, ffn] starts at down_first within the slot. Only tiles whose slot lies in this arena
// are computed (see grouped_gate_up.wgsl).
// With BIASED, bias [hidden], f32, starts at bias_first within the slot.
// LANES lanes share four rows, 4 * ROWS rows a workgroup. ffn is a multiple of 8.
// Needs: weights and load_weights (shaders/formats), tile_dots and input_tile (shaders/linear), members_of (tile_members.wgsl),
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

// A unit of weights of each of four rows.
struct Weights {
  a: WeightUnit,
  b: WeightUnit,
  c: WeightUnit,
  d: WeightUnit,
}

// What four pairs have of those rows.
struct Share {
  a: vec4f,
  b: vec4f,
  c: vec4f,
  d: vec4f,
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
  let slot = tile.x - params.arena_first;
  if (slot >= params.arena_slots) {
    return;
  }
  // The same in the whole workgroup.
  let has_more = tile.z > 4u;
  let members = members_of(tile, 0u);
  let more_members = members_of(tile, 4u);
  let wanted = 4u * (group.x * ROWS + local.y);
  let row = min(wanted + vec4u(0u, 1u, 2u, 3u), vec4u(params.hidden - 1u));
  let units = params.ffn / UNIT_COLS;
  let count = params.ffn * params.hidden;
  let base = slot * params.slot_words;
  let down_base = base + params.down_first;
  let first = members * (params.ffn / 4u);
  let more_first = more_members * (params.ffn / 4u);
  var share = Share();
  var more = Share();
  for (var unit = local.x; unit < units; unit += LANES) {
    let units_of = row * units + unit;
    let w = Weights(
      load_weights(down_base, count, units_of.x),
      load_weights(down_base, count, units_of.y),
      load_weights(down_base, count, units_of.z),
      load_weights(down_base, count, units_of.w),
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
  return Share(
    share.a + tile_dots(w.a, inputs),
    share.b + tile_dots(w.b, inputs),
    share.c + tile_dots(w.c, inputs),
    share.d + tile_dots(w.d, inputs),
  );
}

// Adds up over the lanes, and writes the first `filled` of four pairs' results in four rows.
fn finish(share: Share, row: u32, members: vec4u, filled: u32, base: u32, local: vec3u) {
  write(row, members, filled, base, local, row_sum4(share.a, local.x, local.y));
  write(row + 1u, members, filled, base, local, row_sum4(share.b, local.x, local.y));
  write(row + 2u, members, filled, base, local, row_sum4(share.c, local.x, local.y));
  write(row + 3u, members, filled, base, local, row_sum4(share.d, local.x, local.y));
}

fn write(row: u32, members: vec4u, filled: u32, base: u32, local: vec3u, total: vec4f) {
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
