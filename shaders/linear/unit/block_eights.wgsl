// Units of eight columns of an input in blocks of bytes, for devices without an instruction for
// products of bytes: weights are numbers as in eights.wgsl, of which this reads more than it does.
// Software adapters compute a product of numbers sooner than one of bytes, and read a byte sooner
// than a number.
// Needs: x, an array of InputElement; block_quad (block_quads.wgsl).
alias WeightUnit = array<vec4f, 2>;

const UNIT_COLS = 8u;

// Number = share of the block's largest magnitude.
struct InputUnit {
  low: vec4f,
  high: vec4f,
  largest: f32,
  squares: f32,
}

fn input_unit(first: u32, unit: u32) -> InputUnit {
  let at = block_quad(first + 2u * unit);
  let half = at + ((unit >> 1u) & 1u);
  let word = 2u * (unit & 1u);
  return InputUnit(
    unpack4x8snorm(x[half][word]),
    unpack4x8snorm(x[half][word + 1u]),
    bitcast<f32>(x[at + 2u].w),
    0.0,
  );
}

fn unit_dot(w: WeightUnit, input: InputUnit) -> f32 {
  return input.largest * (fused_dot(w[0], input.low) + fused_dot(w[1], input.high));
}
