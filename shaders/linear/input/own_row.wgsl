// A norm of a row of x (normed.wgsl). Where nothing is readied, as in kernels whose workgroups have
// several tokens, the vectors begin with the norm's.
var<private> input_norm: u32;

fn ready_input(first: u32, norm: u32, lane: u32, row: u32) {
  input_norm = norm;
}

fn raw_input(at: u32, quad: u32) -> vec4f {
  return x[at];
}
