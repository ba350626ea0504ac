// bytes_dot(a, b): the sum of 16 products of signed bytes, by the instruction that GPUs have for
// it. It is a whole number that f32 holds.
fn bytes_dot(a: vec4u, b: vec4u) -> f32 {
  return f32(
    dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y) + dot4I8Packed(a.z, b.z)
      + dot4I8Packed(a.w, b.w),
  );
}
