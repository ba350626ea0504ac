// Blocks of 32 weights, a byte each, for products of integers: what formats make of what they read
// (blocks.wgsl).

// 32 weights: (byte - zero) * scale + offset, bytes being signed. The first 16 go by the x of scale
// and offset, the last 16 by the y.
struct WeightBlock {
  low: vec4u,
  high: vec4u,
  zero: f32,
  scale: vec2f,
  offset: vec2f,
}

struct BlockBytes {
  low: vec4u,
  high: vec4u,
}

// `bytes` with higher bits, which start at bit `shift` of each byte.
fn with_high(bytes: BlockBytes, bits: BlockBytes, shift: u32) -> BlockBytes {
  let by = vec4u(shift);
  return BlockBytes(bytes.low | (bits.low << by), bytes.high | (bits.high << by));
}

// (byte - zero) * scale
fn scaled_block(bytes: BlockBytes, zero: f32, scale: f32) -> WeightBlock {
  return WeightBlock(bytes.low, bytes.high, zero, vec2f(scale), vec2f());
}

// byte * scale + offset
fn shifted_block(bytes: BlockBytes, scale: f32, offset: f32) -> WeightBlock {
  return WeightBlock(bytes.low, bytes.high, 0.0, vec2f(scale), vec2f(offset));
}
