// Lists the pairs (pair = token * top_k + choice) of each expert that is there, and cuts the lists
// into tiles, so that a product decodes a weight once for all the pairs of a tile.
// slots [moe layers, max_tokens, top_k]: the slot of each pair's expert; this layer's start at
// routing_first. Pairs in no slot (ABSENT) are listed nowhere.
// pairs [max_tokens * top_k]: first those in slot 0, then slot 1 and so on, each slot's in any
// order: what a pair gives does not depend on what it shares a tile with.
// tiles [1 + the most tiles]: entry 0 is (number of tiles, 0, 0, 0), each other (slot, where its
// pairs begin in pairs, how many they are: at most TILE, 0), by slot.
// One workgroup. slot_count is at most 512.
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

// How many pairs a slot has; then where its next one goes, which in the end is where they end.
var<workgroup> counts: array<atomic<u32>, MAX_SLOTS>;
// Where a slot's pairs and its tiles begin.
var<workgroup> starts: array<vec2u, MAX_SLOTS>;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
  if (control.fault != 0u) {
    return;
  }
  let all = control.tokens * params.top_k;
  for (var pair = lane; pair < all; pair += LANES) {
    let slot = slots[params.routing_first + pair];
    if (slot < params.slot_count) {
      atomicAdd(&counts[slot], 1u);
    }
  }
  workgroupBarrier();
  if (lane == 0u) {
    sum_up();
  }
  workgroupBarrier();
  for (var pair = lane; pair < all; pair += LANES) {
    let slot = slots[params.routing_first + pair];
    if (slot < params.slot_count) {
      pairs[atomicAdd(&counts[slot], 1u)] = pair;
    }
  }
  workgroupBarrier();
  for (var slot = lane; slot < params.slot_count; slot += LANES) {
    let end = atomicLoad(&counts[slot]);
    var tile = 1u + starts[slot].y;
    for (var at = starts[slot].x; at < end; at += TILE) {
      tiles[tile] = vec4u(slot, at, min(TILE, end - at), 0u);
      tile++;
    }
  }
}

fn sum_up() {
  var next = vec2u();
  for (var slot = 0u; slot < params.slot_count; slot++) {
    let count = atomicLoad(&counts[slot]);
    starts[slot] = next;
    atomicStore(&counts[slot], next.x);
    next += vec2u(count, (count + TILE - 1u) / TILE);
  }
  tiles[0] = vec4u(next.y, 0u, 0u, 0u);
}
