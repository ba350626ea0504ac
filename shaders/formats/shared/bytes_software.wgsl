// The same as bytes.wgsl for software adapters, where a vector that is shifted lane by lane, or
// taken for unsigned, costs several times what other arithmetic does. So a byte becomes a number
// where it stands in its word and is brought to its place by a power of two, which is exact. The
// highest one counts as signed: its topmost bit is flipped first and stands for -128 then.
const BYTES = vec4u(0xffu, 0xff00u, 0xff0000u, 0xff000000u);
const BYTE_PLACES = vec4f(1.0, 0x1p-8, 0x1p-16, 0x1p-24);

// The bytes of a word, the highest one signed.
fn placed_numbers(word: u32) -> vec4f {
  return vec4f(bitcast<vec4i>(vec4u(word) & BYTES)) * BYTE_PLACES;
}

fn byte_numbers(word: u32) -> vec4f {
  return placed_numbers(word ^ 0x80000000u) + vec4f(0.0, 0.0, 0.0, 128.0);
}

fn signed_byte_numbers(word: u32) -> vec4f {
  return placed_numbers(word ^ 0x00808080u) - vec4f(128.0, 128.0, 128.0, 0.0);
}

fn nibble_numbers(word: u32) -> array<vec4f, 2> {
  return array<vec4f, 2>(
    placed_numbers(word & 0x0f0f0f0fu),
    placed_numbers((word & 0xf0f0f0f0u) ^ 0x80000000u) * 0x1p-4 + vec4f(0.0, 0.0, 0.0, 8.0),
  );
}
