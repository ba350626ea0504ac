// Takes each token's experts from a table by its id and, when looks_up, looks them up in the page
// table and reports what is absent. Without looks_up the host writes the slots itself.
//   ids = table[token_ids[token], :];  weights = weight
//   slots = page_table[page_first + ids];  an absent one sets control.fault = moe_index + 1
// table [vocab, top_k], ids below the number of experts; page_table [pools, experts];
// ids, slots and weights [moe layers, max_tokens, top_k]: this layer's start at routing_first.
// One thread for a choice.
// Needs: control (shaders/control/write.wgsl).
// Source: Hash Layers, arXiv 2106.04426.
override LANES: u32 = 64u;

const ABSENT = 0xffffffffu;

struct Params {
  vocab: u32,
  top_k: u32,
  moe_index: u32,
  page_first: u32,
  routing_first: u32,
  looks_up: u32,
  weight: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read> page_table: array<u32>;
@group(0) @binding(3) var<storage, read_write> ids: array<u32>;
@group(0) @binding(4) var<storage, read_write> slots: array<u32>;
@group(0) @binding(5) var<storage, read_write> expert_weights: array<f32>;

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
  ids[index] = expert;
  expert_weights[index] = params.weight;
  if (params.looks_up != 0u) {
    let slot = page_table[params.page_first + expert];
    slots[index] = slot;
    if (slot == ABSENT) {
      atomicStore(&control.fault, params.moe_index + 1u);
    }
  }
}
