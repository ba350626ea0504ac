// bytes_dot as packed.wgsl has it, the same number, for browsers without dot4I8Packed and for
// software adapters, which have no such instruction.
// Needs: signed_byte_numbers (shaders/formats/shared/bytes.wgsl).
fn bytes_dot(a: vec4u, b: vec4u) -> f32 {
  return dot(signed_byte_numbers(a.x), signed_byte_numbers(b.x))
    + dot(signed_byte_numbers(a.y), signed_byte_numbers(b.y))
    + dot(signed_byte_numbers(a.z), signed_byte_numbers(b.z))
    + dot(signed_byte_numbers(a.w), signed_byte_numbers(b.w));
}
