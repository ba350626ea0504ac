// y[pair, col] = sum over row of x[pair, row] * down[row, col]
// for each pair = token * top_k + choice of a token and one of its experts.
// x [pairs, ffn]; y [pairs, hidden]; slots [pairs]: the slot in which the pair's expert lies.
// down [ffn, hidden] starts at down_first within the slot: the transpose of expert_down.wgsl's, so
// that each of the expert's neurons is a row. Rows of neurons that are 0 are not read. Only pairs
// whose slot lies in this arena are computed (see expert_gate_up.wgsl).
// A lane has 8 columns; LANES lanes share a row, and SPLITS times as many share the rows. hidden is
// a multiple of 8.
// Needs: load_weights (shaders/formats), control (shaders/control).
override LANES: u32 = 64u;
override SPLITS: u32 = 1u;

const MAX_INVOCATIONS = 256u;

struct Params {
  hidden: u32,
  ffn: u32,
  top_k: u32,
  routing_first: u32,
  slot_words: u32,
  down_first: u32,
  arena_first: u32,
  arena_slots: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> slots: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

var<workgroup> low_sums: array<vec4f, MAX_INVOCATIONS>;
var<workgroup> high_sums: array<vec4f, MAX_INVOCATIONS>;

@compute @workgroup_size(LANES, SPLITS)
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
  let units = params.hidden / 8u;
  let wanted = group.x * LANES + local.x;
  let unit = min(wanted, units - 1u);
  let count = params.ffn * params.hidden;
  let base = slot * params.slot_words + params.down_first;
  var low = vec4f();
  var high = vec4f();
  for (var row = local.y; row < params.ffn; row += SPLITS) {
    let value = x[pair * params.ffn + row];
    if (value != 0.0) {
      let w = load_weights(base, count, row * units + unit);
      low += value * w[0];
      high += value * w[1];
    }
  }
  let index = local.y * LANES + local.x;
  low_sums[index] = low;
  high_sums[index] = high;
  workgroupBarrier();
  if (local.y != 0u || wanted >= units) {
    return;
  }
  for (var split = 1u; split < SPLITS; split++) {
    low += low_sums[split * LANES + local.x];
    high += high_sums[split * LANES + local.x];
  }
  let first = 2u * (pair * units + unit);
  y[first] = low;
  y[first + 1u] = high;
}
