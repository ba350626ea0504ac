// row_sum(value, lane, row) = sum of `value` over the LANES lanes of a row, in a fixed tree, the
// same in every lane: neighbours first, then pairs of neighbours, as subgroup.wgsl does.
// LANES is a power of two; LANES * ROWS is at most 256. Every lane of the workgroup must call it.
const MAX_INVOCATIONS = 256u;

var<workgroup> partial_sums: array<vec4f, MAX_INVOCATIONS>;

fn row_sum(value: f32, lane: u32, row: u32) -> f32 {
  return row_sum4(vec4f(value, 0.0, 0.0, 0.0), lane, row).x;
}

fn row_sum4(value: vec4f, lane: u32, row: u32) -> vec4f {
  let index = row * LANES + lane;
  // A caller may sum twice: nobody writes before all have read the sum before.
  workgroupBarrier();
  partial_sums[index] = value;
  for (var stride = 1u; stride < LANES; stride *= 2u) {
    workgroupBarrier();
    if (lane % (2u * stride) == 0u) {
      partial_sums[index] += partial_sums[index + stride];
    }
  }
  workgroupBarrier();
  return partial_sums[row * LANES];
}

// row_barrier() waits for every lane of the workgroup, so for a row's, and makes what they wrote
// seen.
fn row_barrier() {
  workgroupBarrier();
}
