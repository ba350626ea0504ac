// y: the input of each token in blocks of 32 numbers with a scale, in a format of
// shaders/linear/store, for products that read it so. Block n of x is block n of y.
// input = x, or a norm of it (shaders/linear/input); x [tokens, cols]. vectors: those of the norm.
// A block is STORED_QUADS quads of y, the last of which has f32 numbers.
// A token may have more: more_cols numbers from number more_first + token * more_cols of x on. And
// with has_raw, one that stays as it is: number raw_first + token, written behind the blocks of all
// numbers before raw_first, four where a block would have its last quad.
// One workgroup a token. cols, more_first, more_cols and raw_first are multiples of 32.
// Needs: store_block (store), input_unit (shaders/linear/unit), ready_input, raw_input, weighted
// and input_factor (input), row_sum (shaders/reduce), control (shaders/control).
override LANES: u32 = 64u;
override ROWS: u32 = 1u;
override STORED_QUADS: u32 = 3u;

const BLOCK_QUADS = 8u;
// A block of smaller numbers counts as 0: what they are multiplied by might be infinite.
const SMALLEST = 1e-30;

struct Params {
  cols: u32,
  more_first: u32,
  more_cols: u32,
  raw_first: u32,
  has_raw: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4u>;

// Makes a block of the 32 numbers from quad `first` of x on, which are from quad `quad` on of their
// row.
fn make_block(first: u32, quad: u32, factor: f32) {
  var numbers: array<vec4f, BLOCK_QUADS>;
  var largest = vec4f();
  for (var i = 0u; i < BLOCK_QUADS; i++) {
    numbers[i] = weighted(raw_input(first + i, quad + i), quad + i);
    largest = max(largest, abs(numbers[i]));
  }
  let most = max(max(largest.x, largest.y), max(largest.z, largest.w));
  store_block(STORED_QUADS * (first / BLOCK_QUADS), numbers, most, factor);
}

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = group.x;
  if (control.fault != 0u || token >= control.tokens) {
    return;
  }
  let first = token * params.cols / 4u;
  ready_input(first, 0u, lane, 0u);
  var squares = 0.0;
  for (var unit = lane; unit < params.cols / UNIT_COLS; unit += LANES) {
    squares += input_unit(first, unit).squares;
  }
  let factor = input_factor(squares, lane, 0u);
  for (var block = lane; block < params.cols / 32u; block += LANES) {
    make_block(first + BLOCK_QUADS * block, BLOCK_QUADS * block, factor);
  }
  let more = (params.more_first + token * params.more_cols) / 4u;
  for (var block = lane; block < params.more_cols / 32u; block += LANES) {
    make_block(more + BLOCK_QUADS * block, BLOCK_QUADS * block, 1.0);
  }
  // The numbers of four tokens are one quad: one workgroup copies all of them.
  if (params.has_raw != 0u && token == 0u) {
    for (var quad = lane; quad < (control.tokens + 3u) / 4u; quad += LANES) {
      let end = STORED_QUADS * (params.raw_first / 32u + quad + 1u);
      y[end - 1u] = bitcast<vec4u>(x[params.raw_first / 4u + quad]);
    }
  }
}
