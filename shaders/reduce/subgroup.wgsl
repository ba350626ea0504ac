// row_sum(value, lane, row) = sum of `value` over the LANES lanes of a row, in the tree of
// workgroup.wgsl, so with its bits, the same in every lane.
// A row's lanes are neighbours in local_invocation_index; so must a subgroup's be, in order and
// from a multiple of its size on (shaders/reduce/subgroup_probe.wgsl asks the device). Subgroups
// may have any size: of one that is shorter than a row, the sums are joined in workgroup memory;
// where all are known to have LEAST_SUBGROUP lanes, and a row no more, nothing waits for a barrier.
// LANES is a power of two; LANES * ROWS is at most 256. Every lane of the workgroup must call it.
enable subgroups;
override LEAST_SUBGROUP: u32 = 1u;

const MAX_INVOCATIONS = 256u;
// Of the tree over a row's subgroups, and one for their sum.
const MAX_LEVELS = 9u;

var<workgroup> subgroup_sums: array<vec4f, MAX_INVOCATIONS>;

fn row_sum(value: f32, lane: u32, row: u32) -> f32 {
  return row_sum4(vec4f(value, 0.0, 0.0, 0.0), lane, row).x;
}

fn row_sum4(value: vec4f, lane: u32, row: u32) -> vec4f {
  let size = subgroupAdd(1u);
  var sum = value;
  for (var stride = 1u; stride < LANES; stride *= 2u) {
    let other = subgroupShuffleXor(sum, stride);
    if (stride < size) {
      sum += other;
    }
  }
  if (LEAST_SUBGROUP >= LANES) {
    return sum;
  }
  // A caller may sum twice: nobody writes before all have read the sums before.
  workgroupBarrier();
  subgroup_sums[row * LANES + lane] = sum;
  workgroupBarrier();
  return sum_of_subgroups(row * LANES, min(size, LANES));
}

// The tree over the sums of every `width` lanes from `first` on: level n holds a sum of 2^n of them
// that waits for its neighbour.
fn sum_of_subgroups(first: u32, width: u32) -> vec4f {
  var waiting: array<vec4f, MAX_LEVELS>;
  let count = LANES / width;
  for (var index = 0u; index < count; index++) {
    var sum = subgroup_sums[first + index * width];
    var level = 0u;
    for (var bits = index; (bits & 1u) != 0u; bits >>= 1u) {
      sum = waiting[level] + sum;
      level++;
    }
    waiting[level] = sum;
  }
  return waiting[countTrailingZeros(count)];
}

// row_barrier() waits for every lane of the workgroup, so for a row's, and makes what they wrote
// seen.
fn row_barrier() {
  workgroupBarrier();
}
