// y[token, :] = scale * table[token_ids[token], :]
// for the tokens whose row is in this part of the table: rows first_row to first_row + rows of
// [vocab, hidden], in any format; y [tokens, hidden] f32.
// One thread for 8 weights. hidden is a multiple of 8.
// Needs: load_weights (shaders/formats), control (shaders/control).
override LANES: u32 = 64u;

struct Params {
  hidden: u32,
  vocab: u32,
  first_row: u32,
  rows: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let units = params.hidden / 8u;
  let token = thread.y;
  if (control.fault != 0u || token >= control.tokens || thread.x >= units) {
    return;
  }
  let id = min(control.token_ids[token], params.vocab - 1u);
  let row = id - params.first_row;
  if (id < params.first_row || row >= params.rows) {
    return;
  }
  let w = load_weights(0u, params.rows * params.hidden, row * units + thread.x);
  let first = 2u * (token * units + thread.x);
  y[first] = params.scale * w[0];
  y[first + 1u] = params.scale * w[1];
}
