// The bytes and nibbles of a word as numbers. Where the device is a processor, bytes_software.wgsl
// is linked instead.

fn byte_numbers(word: u32) -> vec4f {
  return vec4f(unpack4xU8(word));
}

fn signed_byte_numbers(word: u32) -> vec4f {
  return vec4f(unpack4xI8(word));
}

// The low halves of the bytes, then the high ones.
fn nibble_numbers(word: u32) -> array<vec4f, 2> {
  return array<vec4f, 2>(
    vec4f(unpack4xU8(word & 0x0f0f0f0fu)),
    vec4f(unpack4xU8((word >> 4u) & 0x0f0f0f0fu)),
  );
}
