// The rotary embedding: numbers are rotated in pairs.
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

// Numbers turned by the angles between them and the others of their pairs; the sines of first ones
// are negative. As fma() says, since two kernels have to give the same bits.
fn turned(own: vec4f, other: vec4f, cosines: vec4f, sines: vec4f) -> vec4f {
  return fma(own, cosines, other * sines);
}

// The same of one number. angle: cosine and sine.
fn turned_number(own: f32, other: f32, angle: vec2f, is_second: bool) -> f32 {
  return fma(own, angle.x, other * select(-angle.y, angle.y, is_second));
}
