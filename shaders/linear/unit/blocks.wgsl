// What a product of integers reads at a time: a block of 32 columns, of bytes. See eights.wgsl;
// quantise.wgsl makes x of numbers. Where x as numbers would have eight quads, it has three.
// Needs: x, an array of InputQuad; WeightBlock (shaders/formats); bytes_dot (dot).
alias InputQuad = vec4u;
alias WeightUnit = WeightBlock;

const UNIT_COLS = 32u;

// Number = byte * scale. sums: of the first and of the last 16 bytes.
struct InputUnit {
  low: vec4u,
  high: vec4u,
  sums: vec2f,
  scale: f32,
  squares: f32,
}

fn input_unit(first: u32, unit: u32) -> InputUnit {
  let at = 3u * ((first >> 3u) + unit);
  let rest = bitcast<vec4f>(x[at + 2u]);
  return InputUnit(x[at], x[at + 1u], rest.xy, rest.z, 0.0);
}

fn input_quad(first: u32, quad: u32) -> vec4f {
  let at = 3u * ((first + quad) >> 3u);
  let scale = bitcast<f32>(x[at + 2u].z);
  return vec4f(unpack4xI8(x[at + ((quad >> 2u) & 1u)][quad & 3u])) * scale;
}

// Behind the blocks, as they are.
fn raw_number(first: u32, index: u32) -> f32 {
  return bitcast<f32>(x[3u * (first >> 5u) + (index >> 2u)][index & 3u]);
}

// Sums of bytes' products are whole numbers below 2^24: all but the last few operations are exact.
fn unit_dot(w: WeightUnit, input: InputUnit) -> f32 {
  let dots = vec2f(bytes_dot(w.low, input.low), bytes_dot(w.high, input.high));
  let products = dots - w.zero * input.sums;
  return input.scale * (dot(w.scale, products) + dot(w.offset, input.sums));
}

// The input was normalised before it became bytes (shaders/linear/input).
fn input_factor(squares: f32, lane: u32, row: u32) -> f32 {
  return 1.0;
}
