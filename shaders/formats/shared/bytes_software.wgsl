// The same as bytes.wgsl for software adapters, where shifting vectors costs several times what
// other arithmetic does: unpack4x8unorm gets by with shifts of fixed length, and is made whole
// again here. It may be off by less than half a step, 1 / 510, and what is rounded is exact.

fn byte_numbers(word: u32) -> vec4f {
  return floor(unpack4x8unorm(word) * 255.0 + 0.5);
}

fn signed_byte_numbers(word: u32) -> vec4f {
  return byte_numbers(word ^ 0x80808080u) - 128.0;
}

fn nibble_numbers(word: u32) -> array<vec4f, 2> {
  return array<vec4f, 2>(
    byte_numbers(word & 0x0f0f0f0fu),
    byte_numbers(word & 0xf0f0f0f0u) * 0.0625,
  );
}
