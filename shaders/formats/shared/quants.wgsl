// Quants of a unit's eight weights, a byte each: x has those of weights 0 to 3, y of 4 to 7.

// 4 bits, a word a unit: byte i holds weights i (low half) and i + 4 (high half).
fn nibble_quants(word: u32) -> vec2u {
  return vec2u(word, word >> 4u) & vec2u(0x0f0f0f0fu);
}

// 2 bits, a word for two units: byte i holds, from its lowest bits up, weights i and i + 4 of the
// even unit, then those of the odd one.
fn pair_quants(word: u32, unit: u32) -> vec2u {
  let bits = word >> (4u * (unit & 1u));
  return vec2u(bits, bits >> 2u) & vec2u(0x03030303u);
}

// 1 bit, a word for four units, in the same order.
fn bit_quants(word: u32, unit: u32) -> vec2u {
  let bits = word >> (2u * (unit & 3u));
  return vec2u(bits, bits >> 1u) & vec2u(0x01010101u);
}

// quant * scale + offset. Every format has products of at most 24 bits, which are exact: so it is
// the same with a fused multiply-add, and the same as (quant - zero) * scale for an offset of
// -zero * scale.
// Needs: byte_numbers (shared/bytes.wgsl).
fn scaled_quants(quants: vec2u, scale: f32, offset: f32) -> array<vec4f, 2> {
  return array<vec4f, 2>(
    byte_numbers(quants.x) * scale + offset,
    byte_numbers(quants.y) * scale + offset,
  );
}

// The same of quants of 4 bits, a word a unit.
// Needs: nibble_numbers (shared/bytes.wgsl).
fn scaled_nibbles(word: u32, scale: f32, offset: f32) -> array<vec4f, 2> {
  let numbers = nibble_numbers(word);
  return array<vec4f, 2>(numbers[0] * scale + offset, numbers[1] * scale + offset);
}
