// Packs a pass's keys and values into the cache: row (position + token) % rows of the cache becomes
// row (position + token) % staged_rows of staged, keys and then values.
// staged: [staged_rows, key_stride] keys, then [staged_rows, value_stride] values, f32, of which
// each row has key_width and value_width numbers; the rest of a row is packed as 0.
// Strides are multiples of 64, widths of 4. values_first: the number of the cache at which its
// values start; scales_first: the word at which its scales do.
// One invocation for 64 numbers of a token.
// Needs: store_unit (shaders/cache), control (shaders/control).
override LANES: u32 = 32u;

const UNIT = 64u;

struct Params {
  rows: u32,
  staged_rows: u32,
  key_width: u32,
  value_width: u32,
  key_stride: u32,
  value_stride: u32,
  values_first: u32,
  scales_first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> staged: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> cache: array<u32>;

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let token = thread.y;
  let key_units = params.key_stride / UNIT;
  if (control.fault != 0u || token >= control.tokens) {
    return;
  }
  if (thread.x >= key_units + params.value_stride / UNIT) {
    return;
  }
  let is_value = thread.x >= key_units;
  let unit = select(thread.x, thread.x - key_units, is_value);
  let width = select(params.key_width, params.value_width, is_value);
  let stride = select(params.key_stride, params.value_stride, is_value);
  let position = control.position + token;
  let staged_first = select(0u, params.staged_rows * params.key_stride, is_value);
  let source = staged_first + position % params.staged_rows * stride + unit * UNIT;
  let target_first = select(0u, params.values_first, is_value) + position % params.rows * stride;

  var numbers: array<vec4f, 16>;
  for (var quad = 0u; quad < 16u; quad++) {
    if (unit * UNIT + 4u * quad < width) {
      numbers[quad] = staged[source / 4u + quad];
    }
  }
  store_unit(params.scales_first, target_first / UNIT + unit, numbers);
}
