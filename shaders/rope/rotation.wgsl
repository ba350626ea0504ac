// The rotary embedding of one number: numbers are rotated in pairs.
// pairing 0 rotates (i, i + rope_dims / 2), pairing 1 rotates (2i, 2i + 1), both counted from the
// first number that is rotated.
// Needs: params.rope_dims, params.pairing (the kernel).

// The pair of a rotated number, the pair's other one, and which of both it is.
struct Rotated {
  pair: u32,
  other: u32,
  is_second: bool,
}

fn rotated_at(place: u32) -> Rotated {
  if (params.pairing == 1u) {
    return Rotated(place / 2u, place ^ 1u, (place & 1u) == 1u);
  }
  let half = params.rope_dims / 2u;
  if (place < half) {
    return Rotated(place, place + half, false);
  }
  return Rotated(place - half, place - half, true);
}

// angle: cosine and sine. As fma() says, since two kernels have to give the same bits.
fn turned(own: f32, other: f32, angle: vec2f, is_second: bool) -> f32 {
  let signed = select(-other, other, is_second);
  return fma(own, angle.x, signed * angle.y);
}
