// TQ1_0: weight = (digit - 1) * d. A block is 256 weights with one d, f16; a byte holds 5 ternary
// digits, or 4.
// Planes: digits, ggml's 13 words a block: digits n = 0 to 4 of words 0 to 7 are 160 weights, 32
// for each n; those of words 8 to 11 are the next 80, 16 for each n; digits 0 to 3 of word 12 are
// the last 16. Then d, two a word.
// Needs: half_at (shared/half_plane.wgsl).
fn load_tq1_0(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {
  let block = unit >> 5u;
  let part = unit & 31u;
  // Words and digits of the unit's first and second four weights.
  var words = vec2u(2u * (part & 3u), 2u * (part & 3u) + 1u);
  var digits = vec2u(part >> 2u);
  if (part >= 30u) {
    words = vec2u(12u);
    digits = vec2u(2u * (part - 30u), 2u * (part - 30u) + 1u);
  } else if (part >= 20u) {
    words = vec2u(8u + 2u * (part & 1u), 9u + 2u * (part & 1u));
    digits = vec2u((part - 20u) >> 1u);
  }
  let first = base + 13u * block;
  let d = half_at(base + padded_words(13u * (count >> 8u)), block);
  return array<vec4f, 2>(
    ternary_digits(weights[first + words.x], digits.x) * d - d,
    ternary_digits(weights[first + words.y], digits.y) * d - d,
  );
}

// Digit `index` of each of the 4 bytes. A byte is 256 times the fraction 0.digits in base 3: times
// 3^index, the digits before are above 256; the rest times 3 has this one above 256.
fn ternary_digits(bytes: u32, index: u32) -> vec4f {
  let power = select((0x1b090301u >> (8u * index)) & 0xffu, 81u, index == 4u);
  let rest = (unpack4xU8(bytes) * power) & vec4u(0xffu);
  return vec4f((rest * 3u) >> vec4u(8u));
}
