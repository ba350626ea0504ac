// y[pair, row] = down[row, :] . x[pair, :] + bias[row]
// for each pair = token * top_k + choice of a token and one of its experts.
// x [pairs, ffn]; y [pairs, hidden]; slots [pairs]: the slot in which the pair's expert lies.
// down [hidden, ffn] starts at down_first within the slot. Only pairs whose slot lies in this arena
// are computed (see expert_gate_up.wgsl).
// With BIASED, bias [hidden], f32, starts at bias_first within the slot.
// LANES lanes share a tile of FOURS times four rows, FOURS being 1 or 2; ROWS tiles share a
// workgroup. ffn is a multiple of 8.
// Needs: weights and row_dots_down (shaders/linear/row_dots.wgsl), row_sum4 (shaders/reduce),
// control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 16u;
override FOURS: u32 = 1u;
override BIASED: u32 = 0u;

struct Params {
  hidden: u32,
  ffn: u32,
  top_k: u32,
  routing_first: u32,
  slot_words: u32,
  down_first: u32,
  arena_first: u32,
  arena_slots: u32,
  bias_first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<InputElement>;
@group(0) @binding(2) var<storage, read> slots: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let pair = group.y;
  if (control.fault != 0u || pair / params.top_k >= control.tokens) {
    return;
  }
  let slot = slots[params.routing_first + pair] - params.arena_first;
  if (slot >= params.arena_slots) {
    return;
  }
  let tile = (group.x * ROWS + local.y) * 4u * FOURS;
  let base = slot * params.slot_words;
  let first = pair * params.ffn / 4u;
  let down = base + params.down_first;
  let dots = row_dots_down(down, params.hidden, params.ffn, tile, first, local.x);
  for (var four = 0u; four < FOURS; four++) {
    let totals = row_sum4(four_of(dots, four), local.x, local.y);
    let row = tile + 4u * four;
    for (var i = 0u; local.x == 0u && i < 4u && row + i < params.hidden; i++) {
      var bias = 0.0;
      if (BIASED != 0u) {
        bias = bitcast<f32>(weights[base + params.bias_first + row + i]);
      }
      y[pair * params.hidden + row + i] = totals[i] + bias;
    }
  }
}
