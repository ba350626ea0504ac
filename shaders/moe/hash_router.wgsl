// Takes each token's experts from a table by its id, looks them up in the page table and reports
// what is absent. With page_first NONE the host writes the slots itself.
//   ids = table[token_ids[token], :];  weights = weight
//   slots = page_table[page_first + ids];  an absent one sets control.fault = moe_index + 1
// table [vocab, top_k], ids below the number of experts; page_table [pools, experts];
// choices: as router.wgsl writes them.
// One thread for a choice.
// Needs: control (shaders/control/write.wgsl).
// Source: Hash Layers, arXiv 2106.04426.
override LANES: u32 = 64u;

const ABSENT = 0xffffffffu;
// Start of a page table that is not there.
const NONE = 0xffffffffu;

struct Params {
  vocab: u32,
  top_k: u32,
  moe_index: u32,
  page_first: u32,
  routing_first: u32,
  choice_count: u32,
  weight: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read> page_table: array<u32>;
@group(0) @binding(3) var<storage, read_write> choices: array<u32>;

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let token = thread.x / params.top_k;
  // Another choice of this layer may have faulted already: that does not stop this one.
  let fault = atomicLoad(&control.fault);
  let obeys = fault == 0u || fault == params.moe_index + 1u;
  if (!obeys || token >= control.tokens) {
    return;
  }
  let id = min(control.token_ids[token], params.vocab - 1u);
  let expert = table[id * params.top_k + thread.x % params.top_k];
  let index = params.routing_first + thread.x;
  choices[index] = expert;
  choices[2u * params.choice_count + index] = bitcast<u32>(params.weight);
  if (params.page_first != NONE) {
    let slot = page_table[params.page_first + expert];
    choices[params.choice_count + index] = slot;
    if (slot == ABSENT) {
      atomicStore(&control.fault, params.moe_index + 1u);
    }
  }
}
