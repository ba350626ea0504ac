// Chooses experts for each token, looks them up in the page table and reports what is absent. With
// page_first NONE the host reads the ids and writes the slots itself.
//   logits = logit_scale * (router input + router bias), input = x or a norm of it
//   (shaders/linear/input);
//   ids = the top_k experts by key, best first, ties to the lower index, keys being logits or
//   scores with a selection bias and groups (shaders/routing/rank);
//   weights = scores of the chosen, divided by max(their sum, 2^-14) when renormalise, times scale,
//   times expert scale;
//   y = with KEEPS 1 what the norm is taken of, a sum (shaders/linear/input/summed_row.wgsl), with
//   KEEPS 2 the layer norm of x;
//   slots = page_table[page_first + ids];  an absent one sets control.fault = moe_index + 1
// x, residual and y [tokens, cols], of which residual is for KEEPS 1 alone, and y for KEEPS; router
// [experts, cols] in any format; page_table [pools, experts];
// choices [3, choice_count]: ids, slots and weights (as f32) of all layers, of which this one's
// [max_tokens, top_k] start at routing_first;
// vectors: those of the norm, each [cols], if there is one, then router bias, selection bias and
// expert scale, each [experts], from where the params say.
// One workgroup a token; PARTS lanes share four experts. EXPERTS, from params.experts up, says how
// much workgroup memory there is: that takes time to clear. top_k <= 32, cols a multiple of 8,
// PARTS divides LANES.
// Needs: row_dots_router (shaders/linear/row_dots.wgsl), ready_input, raw_input, weighted and
// input_factor (shaders/linear/input), row_sum (shaders/reduce/serial.wgsl), router_terms,
// router_score and chosen_score (shaders/routing), rank_experts and rank_key
// (shaders/routing/rank), control (shaders/control/write.wgsl).
override LANES: u32 = 64u;
override PARTS: u32 = 1u;
override EXPERTS: u32 = 512u;
override KEEPS: u32 = 0u;

// Of rows that a lane takes at once (shaders/linear/row_dots.wgsl).
const FOURS = 1u;
// Of what is summed over the lanes.
const ROWS = 1u;
const MAX_TOP_K = 32u;
const ABSENT = 0xffffffffu;
const MIN_SUM = 6.103515625e-5;
// Start of a vector, or of a page table, that is not there.
const NONE = 0xffffffffu;

struct Params {
  cols: u32,
  experts: u32,
  top_k: u32,
  moe_index: u32,
  page_first: u32,
  routing_first: u32,
  choice_count: u32,
  renormalise: u32,
  scale: f32,
  router_bias: u32,
  selection_bias: u32,
  expert_scale: u32,
  groups: u32,
  groups_kept: u32,
  epsilon: f32,
  logit_scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> residual: array<vec4f>;
@group(0) @binding(3) var<storage, read> page_table: array<u32>;
@group(0) @binding(4) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> choices: array<u32>;
@group(0) @binding(6) var<storage, read_write> y: array<vec4f>;

// Of four experts each, PARTS of them for the same four; and what they found of the squares.
var<workgroup> partials: array<vec4f, (EXPERTS + 3u) / 4u * PARTS>;
var<workgroup> squares: array<f32, PARTS>;
var<workgroup> logits: array<f32, EXPERTS>;
var<workgroup> chosen: array<u32, MAX_TOP_K>;
var<workgroup> chosen_scores: array<f32, MAX_TOP_K>;

// What the vector that starts at `first` has for an expert, or `otherwise`.
fn expert_vector(first: u32, expert: u32, otherwise: f32) -> f32 {
  if (first == NONE) {
    return otherwise;
  }
  return vectors[(first + expert) / 4u][(first + expert) % 4u];
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = group.x;
  let first = token * params.cols / 4u;
  let fours = (params.experts + 3u) / 4u;
  ready_input(first, 0u, lane, 0u);
  for (var task = lane; task < fours * PARTS; task += LANES) {
    let four = task / PARTS;
    let dots = row_dots_router(0u, params.experts, params.cols, 4u * four, first, task % PARTS);
    partials[task] = dots.sums;
    if (four == 0u) {
      squares[task] = dots.squares;
    }
  }
  workgroupBarrier();
  var squares_sum = 0.0;
  for (var part = 0u; part < PARTS; part++) {
    squares_sum += squares[part];
  }
  let factor = input_factor(squares_sum, lane, 0u);
  for (var expert = lane; expert < params.experts; expert += LANES) {
    var sum = 0.0;
    for (var part = 0u; part < PARTS; part++) {
      sum += partials[expert / 4u * PARTS + part][expert % 4u];
    }
    let logit = sum * factor + expert_vector(params.router_bias, expert, 0.0);
    logits[expert] = logit * params.logit_scale;
  }
  for (var rank = lane; rank < params.top_k; rank += LANES) {
    chosen[rank] = rank;
    chosen_scores[rank] = 0.0;
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
  if (!obeys || token >= control.tokens) {
    return;
  }
  for (var quad = lane; KEEPS > 0u && quad < params.cols / 4u; quad += LANES) {
    let raw = raw_input(first + quad, quad);
    if (KEEPS == 1u) {
      y[first + quad] = raw;
    } else {
      y[first + quad] = weighted(raw, quad);
    }
  }
  var sum = 0.0;
  for (var rank = 0u; rank < params.top_k; rank++) {
    sum += chosen_score(rank);
  }
  let divisor = select(1.0, max(sum, MIN_SUM), params.renormalise != 0u);
  for (var rank = lane; rank < params.top_k; rank += LANES) {
    let index = params.routing_first + token * params.top_k + rank;
    let expert = chosen[rank];
    choices[index] = expert;
    let scale = params.scale * expert_vector(params.expert_scale, expert, 1.0);
    let weight = chosen_score(rank) / divisor * scale;
    choices[2u * params.choice_count + index] = bitcast<u32>(weight);
    if (params.page_first != NONE) {
      let slot = page_table[params.page_first + expert];
      choices[params.choice_count + index] = slot;
      if (slot == ABSENT) {
        atomicStore(&control.fault, params.moe_index + 1u);
      }
    }
  }
}
