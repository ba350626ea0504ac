// F32 weights of a buffer that holds one matrix and nothing else: read four at a time, which takes
// an eighth of the loads. Linked in the place of f32.wgsl and of shared/weights.wgsl.
@group(1) @binding(0) var<storage, read> weight_quads: array<vec4f>;

fn load_f32(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {
  let quad = base / 4u + 2u * unit;
  return array<vec4f, 2>(weight_quads[quad], weight_quads[quad + 1u]);
}
