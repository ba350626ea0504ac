// Chooses experts for each token and, when looks_up, looks them up in the page table and reports
// what is absent. Without looks_up the host reads the ids and writes the slots itself.
//   logits = router x + router bias;  ids = the top_k experts by key, best first, ties to the lower
//   index, keys being logits or scores with a selection bias and groups (shaders/routing/rank);
//   weights = scores of the chosen, divided by max(their sum, 2^-14) when renormalise, times scale,
//   times expert scale;
//   slots = page_table[page_first + ids];  an absent one sets control.fault = moe_index + 1
// x [tokens, hidden]; router [experts, hidden] in any format; page_table [pools, experts];
// ids, slots and weights [moe layers, max_tokens, top_k]: this layer's start at routing_first;
// vectors: router bias, selection bias and expert scale, each [experts], from where the params say.
// One workgroup a token. experts <= 512, experts * PARTS <= 2048, top_k <= 32, hidden a multiple of
// 8, PARTS divides LANES.
// Needs: load_weights (shaders/formats), router_terms, router_score and chosen_score
// (shaders/routing), rank_experts and rank_key (shaders/routing/rank),
// control (shaders/control/write.wgsl).
override LANES: u32 = 64u;
override PARTS: u32 = 1u;

const MAX_EXPERTS = 512u;
const MAX_PARTIALS = 2048u;
const MAX_TOP_K = 32u;
const ABSENT = 0xffffffffu;
const MIN_SUM = 6.103515625e-5;
// Start of a vector that is not there.
const NONE = 0xffffffffu;

struct Params {
  hidden: u32,
  experts: u32,
  top_k: u32,
  moe_index: u32,
  page_first: u32,
  routing_first: u32,
  renormalise: u32,
  looks_up: u32,
  scale: f32,
  router_bias: u32,
  selection_bias: u32,
  expert_scale: u32,
  groups: u32,
  groups_kept: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> page_table: array<u32>;
@group(0) @binding(3) var<storage, read> vectors: array<f32>;
@group(0) @binding(4) var<storage, read_write> ids: array<u32>;
@group(0) @binding(5) var<storage, read_write> slots: array<u32>;
@group(0) @binding(6) var<storage, read_write> expert_weights: array<f32>;

var<workgroup> partials: array<f32, MAX_PARTIALS>;
var<workgroup> logits: array<f32, MAX_EXPERTS>;
var<workgroup> chosen: array<u32, MAX_TOP_K>;
var<workgroup> chosen_scores: array<f32, MAX_TOP_K>;

// What the vector that starts at `first` has for an expert, or `otherwise`.
fn expert_vector(first: u32, expert: u32, otherwise: f32) -> f32 {
  if (first == NONE) {
    return otherwise;
  }
  return vectors[first + expert];
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = group.x;
  let units = params.hidden / 8u;
  let count = params.experts * params.hidden;
  let first = token * units * 2u;
  for (var task = lane; task < params.experts * PARTS; task += LANES) {
    let expert = task / PARTS;
    var sum = 0.0;
    for (var unit = task % PARTS; unit < units; unit += PARTS) {
      let w = load_weights(0u, count, expert * units + unit);
      sum += dot(w[0], x[first + 2u * unit]) + dot(w[1], x[first + 2u * unit + 1u]);
    }
    partials[task] = sum;
  }
  workgroupBarrier();
  for (var expert = lane; expert < params.experts; expert += LANES) {
    var sum = 0.0;
    for (var part = 0u; part < PARTS; part++) {
      sum += partials[expert * PARTS + part];
    }
    logits[expert] = sum + expert_vector(params.router_bias, expert, 0.0);
  }
  if (lane < MAX_TOP_K) {
    chosen[lane] = lane;
    chosen_scores[lane] = 0.0;
  }
  workgroupBarrier();

  rank_experts(lane);
  // An expert's rank is the number of experts before it; the first top_k put themselves where they
  // belong.
  for (var expert = lane; expert < params.experts; expert += LANES) {
    let key = rank_key(expert);
    var rank = 0u;
    for (var other = 0u; other < params.experts; other++) {
      let other_key = rank_key(other);
      let before = other_key > key || (other_key == key && other < expert);
      rank += select(0u, 1u, before);
    }
    if (rank < params.top_k) {
      chosen[rank] = expert;
      chosen_scores[rank] = router_score(expert, router_terms());
    }
  }
  workgroupBarrier();

  // Asked only here, so that the barriers stay in uniform control flow. Another token of this layer
  // may have faulted already: that does not stop this one.
  let fault = atomicLoad(&control.fault);
  let obeys = fault == 0u || fault == params.moe_index + 1u;
  if (obeys && token < control.tokens && lane < params.top_k) {
    var sum = 0.0;
    for (var rank = 0u; rank < params.top_k; rank++) {
      sum += chosen_score(rank);
    }
    let divisor = select(1.0, max(sum, MIN_SUM), params.renormalise != 0u);
    let index = params.routing_first + token * params.top_k + lane;
    let expert = chosen[lane];
    ids[index] = expert;
    let scale = params.scale * expert_vector(params.expert_scale, expert, 1.0);
    expert_weights[index] = chosen_score(lane) / divisor * scale;
    if (params.looks_up != 0u) {
      let slot = page_table[params.page_first + expert];
      slots[index] = slot;
      if (slot == ABSENT) {
        atomicStore(&control.fault, params.moe_index + 1u);
      }
    }
  }
}
