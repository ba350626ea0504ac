// Formats whose 4 bits stand for one of 16 numbers, signed bytes: number n is byte n of a table.
// The tables are constants of 4 words, since an array that is indexed at run time may go to memory.

// -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113: IQ4_NL and IQ4_XS.
const IQ4_TABLE = vec4u(0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u);

// Twice what 4-bit floats (1 sign, 2 exponent, 1 fraction) are; -0 is 0: MXFP4 and NVFP4.
const E2M1_TABLE = vec4u(0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu);

// The eight numbers of `table` that `quants` name (shared/quants.wgsl), times `scale`.
fn table_weights(table: vec4u, quants: vec2u, scale: f32) -> array<vec4f, 2> {
  return array<vec4f, 2>(
    vec4f(table_numbers(table, unpack4xU8(quants.x))) * scale,
    vec4f(table_numbers(table, unpack4xU8(quants.y))) * scale,
  );
}

// The same as signed bytes, four a word.
fn table_bytes(table: vec4u, quants: u32) -> u32 {
  return pack4xI8(table_numbers(table, unpack4xU8(quants)));
}

fn table_numbers(table: vec4u, index: vec4u) -> vec4i {
  let in_second = (index & vec4u(4u)) != vec4u();
  let lower = select(vec4u(table.x), vec4u(table.y), in_second);
  let upper = select(vec4u(table.z), vec4u(table.w), in_second);
  let words = select(lower, upper, index >= vec4u(8u));
  // The byte goes to the top of its word and comes down with its sign.
  let bytes = bitcast<vec4i>(words << (24u - 8u * (index & vec4u(3u))));
  return bytes >> vec4u(24u);
}
