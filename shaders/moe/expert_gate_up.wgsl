// y[pair, row] = gated(gate[row, :] . x[token, :] + gate_bias[row],
//                      up[row, :] . x[token, :] + up_bias[row])
// for each pair = token * top_k + choice of a token and one of its experts.
// x [tokens, hidden]; y [pairs, ffn]; slots [pairs]: the slot in which the pair's expert lies.
// A slot is slot_words words; gate and up [ffn, hidden], in one format, start at gate_first and
// up_first within it. Only pairs whose slot lies in this arena, which holds the slots
// [arena_first, arena_first + arena_slots), are computed.
// With BIASED, gate_bias and up_bias [ffn], f32, start at gate_bias_first and up_bias_first.
// LANES lanes share a row, ROWS rows share a workgroup. hidden is a multiple of 8.
// Needs: weights and load_weights (shaders/formats), row_sum4 (shaders/reduce),
// gated (shaders/act), control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 64u;
override BIASED: u32 = 0u;

struct Params {
  hidden: u32,
  ffn: u32,
  top_k: u32,
  routing_first: u32,
  slot_words: u32,
  gate_first: u32,
  up_first: u32,
  arena_first: u32,
  arena_slots: u32,
  gate_bias_first: u32,
  up_bias_first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> slots: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let pair = group.y;
  let token = pair / params.top_k;
  if (control.fault != 0u || token >= control.tokens) {
    return;
  }
  // Wraps for slots before the arena and for ABSENT, which then are out of range as well.
  let slot = slots[params.routing_first + pair] - params.arena_first;
  if (slot >= params.arena_slots) {
    return;
  }
  let wanted = group.x * ROWS + local.y;
  // Rows past the end compute the last one again: all lanes have to reach the barriers of row_sum4.
  let row = min(wanted, params.ffn - 1u);
  let units = params.hidden / 8u;
  let count = params.ffn * params.hidden;
  let base = slot * params.slot_words;
  let first = token * units * 2u;
  var gate = 0.0;
  var up = 0.0;
  for (var unit = local.x; unit < units; unit += LANES) {
    let low = x[first + 2u * unit];
    let high = x[first + 2u * unit + 1u];
    let g = load_weights(base + params.gate_first, count, row * units + unit);
    gate += dot(g[0], low) + dot(g[1], high);
    let u = load_weights(base + params.up_first, count, row * units + unit);
    up += dot(u[0], low) + dot(u[1], high);
  }
  let sums = row_sum4(vec4f(gate, up, 0.0, 0.0), local.x, local.y);
  if (local.x == 0u && wanted < params.ffn) {
    var biases = vec2f(0.0);
    if (BIASED != 0u) {
      biases.x = bitcast<f32>(weights[base + params.gate_bias_first + row]);
      biases.y = bitcast<f32>(weights[base + params.up_bias_first + row]);
    }
    y[pair * params.ffn + row] = gated(sums.x + biases.x, sums.y + biases.y);
  }
}
