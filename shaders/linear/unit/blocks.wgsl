// What a product of integers reads at a time: a block of 32 columns, of bytes. See eights.wgsl;
// quantise.wgsl makes x of numbers. Where x as numbers would have eight quads, it has three.
// Needs: x, an array of InputElement; WeightBlock (shaders/formats); block_quad (block_quads.wgsl).
alias WeightUnit = WeightBlock;

const UNIT_COLS = 32u;

fn weight_unit(block: WeightBlock) -> WeightUnit {
  return block;
}

// Number = byte * scale. sums: of the first and of the last 16 bytes.
struct InputUnit {
  low: vec4u,
  high: vec4u,
  sums: vec2f,
  scale: f32,
  squares: f32,
}

fn input_unit(first: u32, unit: u32) -> InputUnit {
  let at = block_quad(first + 8u * unit);
  let rest = bitcast<vec4f>(x[at + 2u]);
  return InputUnit(x[at], x[at + 1u], rest.xy, rest.z, 0.0);
}

// Sums of bytes' products are whole numbers below 2^24: all but the last few operations are exact.
fn unit_dot(w: WeightUnit, input: InputUnit) -> f32 {
  let dots = vec2f(bytes_dot(w.low, input.low), bytes_dot(w.high, input.high));
  let products = fma(vec2f(-w.zero), input.sums, dots);
  return input.scale * (fused_dot2(w.scale, products) + fused_dot2(w.offset, input.sums));
}

// The sum of 16 products of signed bytes.
fn bytes_dot(a: vec4u, b: vec4u) -> f32 {
  return f32(
    dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y) + dot4I8Packed(a.z, b.z)
      + dot4I8Packed(a.w, b.w),
  );
}
