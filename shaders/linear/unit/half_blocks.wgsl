// What a product in f16 reads at a time: a block of 32 columns, of halves. See eights.wgsl;
// quantise.wgsl makes x of numbers.
// Needs: x, an array of InputElement; WeightBlock (shaders/formats).
enable f16;

const UNIT_COLS = 32u;

// A block as store/halves.wgsl writes it: a word of two halves is no vector of f16 in all browsers
// (Firefox lacks that bitcast), but memory is. rest: the sums of the first and of the last 16
// halves, and the scale.
struct InputElement {
  halves: array<vec4<f16>, 8>,
  rest: vec4f,
}

// Number = half * scale. sums: of the first and of the last 16 halves.
struct InputUnit {
  halves: array<vec4<f16>, 8>,
  sums: vec2f,
  scale: f32,
  squares: f32,
}

// Weight = half * scale + offset, halves being whole numbers up to 128; see WeightBlock.
struct WeightUnit {
  halves: array<vec4<f16>, 8>,
  scale: vec2f,
  offset: vec2f,
}

fn weight_unit(block: WeightBlock) -> WeightUnit {
  let zero = vec4<f16>(f16(block.zero));
  let halves = array<vec4<f16>, 8>(
    byte_halves(block.low.x) - zero,
    byte_halves(block.low.y) - zero,
    byte_halves(block.low.z) - zero,
    byte_halves(block.low.w) - zero,
    byte_halves(block.high.x) - zero,
    byte_halves(block.high.y) - zero,
    byte_halves(block.high.z) - zero,
    byte_halves(block.high.w) - zero,
  );
  return WeightUnit(halves, block.scale, block.offset);
}

fn byte_halves(word: u32) -> vec4<f16> {
  return vec4<f16>(unpack4xI8(word));
}

fn input_unit(first: u32, unit: u32) -> InputUnit {
  let at = first / 8u + unit;
  let rest = x[at].rest;
  return InputUnit(x[at].halves, rest.xy, rest.z, 0.0);
}

// Columns 4 * quad to 4 * quad + 3 of the input that starts where quad `first` of its numbers does.
fn input_quad(first: u32, quad: u32) -> vec4f {
  let at = first + quad;
  return vec4f(x[at / 8u].halves[at % 8u]) * x[at / 8u].rest.z;
}

// Number `index` of those from number `first` on, which are in no block but stand behind the last:
// four where a block would have its sums.
fn raw_number(first: u32, index: u32) -> f32 {
  return x[first / 32u + index / 4u].rest[index % 4u];
}

// No sum in f16 has more than four products, of 128 times 64 at most: they stay below 65504, and
// what is lost is four roundings of each product. All other sums are in f32.
fn unit_dot(w: WeightUnit, input: InputUnit) -> f32 {
  let low = fma(
    w.halves[3],
    input.halves[3],
    fma(
      w.halves[2],
      input.halves[2],
      fma(w.halves[1], input.halves[1], w.halves[0] * input.halves[0]),
    ),
  );
  let high = fma(
    w.halves[7],
    input.halves[7],
    fma(
      w.halves[6],
      input.halves[6],
      fma(w.halves[5], input.halves[5], w.halves[4] * input.halves[4]),
    ),
  );
  let dots = vec2f(fused_dot(vec4f(low), vec4f(1.0)), fused_dot(vec4f(high), vec4f(1.0)));
  return input.scale * (fused_dot2(w.scale, dots) + fused_dot2(w.offset, input.sums));
}
