// found[0] += 1 for each invocation whose subgroup is not a run of neighbours in
// local_invocation_index, in order and from a multiple of its size on: what subgroup.wgsl needs.
// found[1] += 1 for each invocation. A workgroup has LANES * ROWS invocations, in the shape of
// kernels whose rows are summed.
enable subgroups;
override LANES: u32 = 32u;
override ROWS: u32 = 4u;

struct Params {
  unused: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> found: array<atomic<u32>>;

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_index) index: u32) {
  let size = subgroupAdd(1u);
  let place = subgroupExclusiveAdd(1u);
  let first = subgroupBroadcastFirst(index);
  if (index != first + place || first % size != 0u) {
    atomicAdd(&found[0], 1u);
  }
  atomicAdd(&found[1], 1u);
}
