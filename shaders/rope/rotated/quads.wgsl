// Where a four of numbers is of four neighbouring pairs, or is two pairs: where rope_first is a
// multiple of 4, and rope_dims of 8. See numbers.wgsl.
// Needs: shaders/rope/heads.wgsl, shaders/rope/rotation.wgsl.
fn rotated_quad(head: Head, quad: u32, own: vec4f) -> vec4f {
  // What is before rope_first is far behind it, too.
  let place = 4u * quad - params.rope_first;
  if (place >= params.rope_dims) {
    return own;
  }
  let half = params.rope_dims / 2u;
  let angles = head.position * half;
  if (params.pairing == 1u) {
    let a = table[angles + place / 2u];
    let b = table[angles + place / 2u + 1u];
    return turned(own, own.yxwz, vec4f(a.xx, b.xx), vec4f(-a.y, a.y, -b.y, b.y));
  }
  let is_second = place >= half;
  let first = angles + select(place, place - half, is_second);
  let other = normed_quad(head, select(quad + half / 4u, quad - half / 4u, is_second));
  let a = table[first];
  let b = table[first + 1u];
  let c = table[first + 2u];
  let d = table[first + 3u];
  let sines = vec4f(a.y, b.y, c.y, d.y);
  return turned(own, other, vec4f(a.x, b.x, c.x, d.x), select(-sines, sines, is_second));
}
