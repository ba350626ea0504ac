// What a product of weights reads at a time: a unit of eight columns, of numbers as they are.
// blocks.wgsl and block_eights.wgsl supply the same of an input in blocks of bytes,
// half_blocks.wgsl of one in blocks of halves.
// Needs: x, an array of InputElement; raw_input, squared and weighted (shaders/linear/input);
// fused_dot (shaders/numeric).
alias InputElement = vec4f;
alias WeightUnit = array<vec4f, 2>;

const UNIT_COLS = 8u;

struct InputUnit {
  low: vec4f,
  high: vec4f,
  squares: f32,
}

// Unit `unit` of the input that starts at quad `first` of x.
fn input_unit(first: u32, unit: u32) -> InputUnit {
  let raw_low = raw_input(first + 2u * unit, 2u * unit);
  let raw_high = raw_input(first + 2u * unit + 1u, 2u * unit + 1u);
  return InputUnit(
    weighted(raw_low, 2u * unit),
    weighted(raw_high, 2u * unit + 1u),
    squared(raw_low) + squared(raw_high),
  );
}

// Columns 4 * quad to 4 * quad + 3 of the input that starts at quad `first` of x.
fn input_quad(first: u32, quad: u32) -> vec4f {
  return weighted(raw_input(first + quad, quad), quad);
}

// Number `index` of those from number `first` of x on, which no product reads.
fn raw_number(first: u32, index: u32) -> f32 {
  return x[(first + index) / 4u][(first + index) % 4u];
}

fn unit_dot(w: WeightUnit, input: InputUnit) -> f32 {
  return fused_dot(w[0], input.low) + fused_dot(w[1], input.high);
}
