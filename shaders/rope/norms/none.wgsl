// No head of a workgroup is normalised.
//
// Every such part supplies:
//   find_norms(group, count, lane): called by every lane, before norms are asked for;
//   norm_of(group, index): what head `index` of the workgroup is multiplied by, one of `count`.
fn find_norms(group: vec3u, count: u32, lane: u32) {
}

fn norm_of(group: vec3u, index: u32) -> f32 {
  return 1.0;
}
