// y[i] = x[i]      x and y [quads] vec4f
// One thread for 4 numbers: what a kernel can move at most, read and written.
override LANES: u32 = 64u;

struct Params {
  quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * grid.x + group.x) * LANES + lane;
  if (i < params.quads) {
    y[i] = x[i];
  }
}
