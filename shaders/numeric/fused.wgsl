// Products that are added as fma() says. What WGSL leaves open, a compiler may fuse in one kernel
// and not in another; sums that have to have the same bits in two kernels leave nothing open.
// Linked wherever one of these is called.
fn fused_dot(a: vec4f, b: vec4f) -> f32 {
  return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, a.x * b.x)));
}

fn fused_dot2(a: vec2f, b: vec2f) -> f32 {
  return fma(a.y, b.y, a.x * b.x);
}
