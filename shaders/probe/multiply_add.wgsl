// y[thread] = a number that takes rounds * 16 multiply-adds      y [threads]
// Four chains of four numbers a thread: no multiply-add waits for the one before it. All of it is
// in registers, so this is what a kernel can compute at most.
override LANES: u32 = 64u;

struct Params {
  threads: u32,
  rounds: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * grid.x + group.x) * LANES + lane;
  if (i >= params.threads) {
    return;
  }
  let factor = vec4f(params.factor);
  let addend = vec4f(0.25, 0.5, 0.75, 1.0);
  var a = vec4f(f32(lane));
  var b = a + 1.0;
  var c = a + 2.0;
  var d = a + 3.0;
  for (var round = 0u; round < params.rounds; round++) {
    a = fma(a, factor, addend);
    b = fma(b, factor, addend);
    c = fma(c, factor, addend);
    d = fma(d, factor, addend);
  }
  let sum = a + b + c + d;
  y[i] = sum.x + sum.y + sum.z + sum.w;
}
