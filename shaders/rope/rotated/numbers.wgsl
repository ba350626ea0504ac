// Number by number, whatever is rotated.
//
// Every such part supplies rotated_quad(head, quad, own): four normalised numbers of a head, `own`,
// rotated.
// Needs: shaders/rope/heads.wgsl, shaders/rope/rotation.wgsl.
fn rotated_quad(head: Head, quad: u32, own: vec4f) -> vec4f {
  return vec4f(
    rotated_number(head, 4u * quad, own.x),
    rotated_number(head, 4u * quad + 1u, own.y),
    rotated_number(head, 4u * quad + 2u, own.z),
    rotated_number(head, 4u * quad + 3u, own.w),
  );
}

fn rotated_number(head: Head, i: u32, own: f32) -> f32 {
  // What is before rope_first is far behind it, too.
  let place = i - params.rope_first;
  if (place >= params.rope_dims) {
    return own;
  }
  let rotated = rotated_at(place);
  let at = params.rope_first + rotated.other;
  let other = normed_quad(head, at / 4u)[at % 4u];
  let angle = table[head.position * (params.rope_dims / 2u) + rotated.pair];
  return turned_number(own, other, angle, rotated.is_second);
}
