// Lists the pairs (pair = token * top_k + choice) of each expert that is there, and cuts the lists
// into tiles, so that a product decodes a weight once for all the pairs of a tile.
// slots [moe layers, max_tokens, top_k]: the slot of each pair's expert; this layer's start at
// routing_first. Pairs in no slot (ABSENT) are listed nowhere.
// pairs [max_tokens * top_k]: first those in slot 0, then slot 1 and so on, each slot's in order.
// tiles [1 + the most tiles]: entry 0 is (number of tiles, 0, 0, 0), each other (slot, where its
// pairs begin in pairs, how many they are: at most TILE, 0), by slot.
// One workgroup: a lane takes a slot, and so needs no atomics and keeps the order.
// slot_count is at most 512.
// Needs: control (shaders/control).
override LANES: u32 = 64u;
override TILE: u32 = 4u;

const MAX_SLOTS = 512u;

struct Params {
  top_k: u32,
  routing_first: u32,
  slot_count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> slots: array<u32>;
@group(0) @binding(2) var<storage, read_write> pairs: array<u32>;
@group(0) @binding(3) var<storage, read_write> tiles: array<vec4u>;

// How many pairs a slot has, then how many the slots before it have; and the same of tiles.
var<workgroup> pairs_before: array<u32, MAX_SLOTS>;
var<workgroup> tiles_before: array<u32, MAX_SLOTS>;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
  if (control.fault != 0u) {
    return;
  }
  let all = control.tokens * params.top_k;
  for (var slot = lane; slot < params.slot_count; slot += LANES) {
    var count = 0u;
    for (var pair = 0u; pair < all; pair++) {
      count += select(0u, 1u, slots[params.routing_first + pair] == slot);
    }
    pairs_before[slot] = count;
  }
  workgroupBarrier();
  if (lane == 0u) {
    sum_up();
  }
  workgroupBarrier();
  for (var slot = lane; slot < params.slot_count; slot += LANES) {
    let first = pairs_before[slot];
    var next = first;
    for (var pair = 0u; pair < all; pair++) {
      if (slots[params.routing_first + pair] == slot) {
        pairs[next] = pair;
        next++;
      }
    }
    var tile = 1u + tiles_before[slot];
    for (var at = first; at < next; at += TILE) {
      tiles[tile] = vec4u(slot, at, min(TILE, next - at), 0u);
      tile++;
    }
  }
}

fn sum_up() {
  var first_pair = 0u;
  var first_tile = 0u;
  for (var slot = 0u; slot < params.slot_count; slot++) {
    let count = pairs_before[slot];
    pairs_before[slot] = first_pair;
    tiles_before[slot] = first_tile;
    first_pair += count;
    first_tile += (count + TILE - 1u) / TILE;
  }
  tiles[0] = vec4u(first_tile, 0u, 0u, 0u);
}
