// Nothing, unless writes: then y[0] = 1.      y [1]
// What is left is the cost of a dispatch.
struct Params {
  writes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(1)
fn main() {
  if (params.writes != 0u) {
    y[0] = 1.0;
  }
}
