// out[token, head, :] = sum over keys j <= position + token of p_j * v_j, p = softmax of the scores
// score_j = scale * q . k_j or, with a softcap, softcap * tanh(scale * q . k_j / softcap)
// A sink is one more score, of no value: exp(sink) is added to the sum of the softmax.
// q [tokens, heads, 4 * key_quads], sinks [heads] if has_sinks. out [tokens, heads, value_quads],
// vec4; or where splits > 0 [tokens, heads, splits, value_quads + 1], what attention_merge reads:
// the highest score, the sum and two zeros, then the mixture of values.
// cache (shaders/cache/place.wgsl): a token's keys are key_row_quads fours of numbers, a head's at
// key_head_quads times its index. Values likewise; with value_shift 3 they are the first
// value_quads of the keys. Position p is in row p % rows; rows is a multiple of 8.
// A query sees its last `window` keys. Heads share keys: kv_head = head / (heads / kv_heads).
//
// A row is a query, of any token and any head of a KV head. A workgroup takes GROUPS times ROWS rows
// of KV head x. Keys go in tiles of 4 * LANES, 4 a lane, the softmax renormalised from tile to tile,
// and tiles in spans of span_keys, a multiple, which are added up in order. Both start at multiples
// of their length, so a query's sums have one order whatever else is in its pass. With splits,
// workgroup z takes the z-th span that the pass's first token sees, and leaves the sum to
// attention_merge. value_quads is at most 2 * LANES.
// Source: Milakov & Gimelshein, "Online normalizer calculation for softmax"; Dao, "Flash-Decoding".
// Needs: Scores and the rest (shaders/attention/rows_*), scores_of (shaders/attention/scores),
// cache_quad (shaders/cache), control (shaders/control).
override LANES: u32 = 8u;
override GROUPS: u32 = 1u;

const SLOTS = 2u;

struct Params {
  heads: u32,
  kv_heads: u32,
  key_quads: u32,
  value_quads: u32,
  key_head_quads: u32,
  key_row_quads: u32,
  value_head_quads: u32,
  value_row_quads: u32,
  value_shift: u32,
  values_first: u32,
  key_scales: u32,
  value_scales: u32,
  rows: u32,
  window: u32,
  span_keys: u32,
  splits: u32,
  tile_rows: u32,
  has_sinks: u32,
  scale: f32,
  softcap: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> sinks: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;

var<workgroup> lane_highest: array<Scores, LANES * GROUPS>;
var<workgroup> lane_sums: array<Scores, LANES * GROUPS>;
var<workgroup> weights: array<Scores, KEYS * LANES * GROUPS>;

fn first_seen(end: u32) -> u32 {
  return max(end, params.window) - params.window;
}

// The sum of weight times value over `count` keys from `first_row` on, four dimensions.
fn mixture(first_weight: u32, first_row: u32, count: u32, head_quad: u32) -> Mixed {
  let shift = params.value_shift;
  let in_block = (1u << shift) - 1u;
  var sum = Mixed();
  for (var key = 0u; key < count; key++) {
    let row = row_behind(first_row, key);
    let quad = ((row >> shift) * params.value_row_quads + head_quad) << shift;
    let scale = params.value_scales + (row * params.value_row_quads + head_quad) / 8u;
    let value = cache_quad(params.values_first + quad + (row & in_block), scale);
    sum += weighted(weights[first_weight + key], value);
  }
  return sum;
}

// Leaves a query's result in `out`: the sum of values, divided, or one of `splits` parts of it.
fn write_row(
  query: u32, row: u32, part: u32, lane: u32, total: Total, totals: array<Mixed, SLOTS>,
) {
  let sum = number_of(total.sum, row);
  let is_part = params.splits > 0u;
  let part_first = (query * params.splits + part) * (params.value_quads + 1u);
  let first = select(query * params.value_quads, part_first + 1u, is_part);
  if (is_part && lane == 0u) {
    out[part_first] = vec4f(number_of(total.highest, row), sum, 0.0, 0.0);
  }
  var all = totals;
  for (var slot = 0u; slot < SLOTS; slot++) {
    let quad = lane + slot * LANES;
    if (quad < params.value_quads) {
      let values = quad_of(all[slot], row);
      out[first + quad] = select(values / sum, values, is_part);
    }
  }
}

@compute @workgroup_size(LANES, GROUPS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let lane = local.x;
  let sharing = params.heads / params.kv_heads;
  let first = group.y * ROWS * GROUPS;
  let count = control.tokens * sharing;
  if (control.fault != 0u || first >= count) {
    return;
  }
  let last = min(first + ROWS * GROUPS, count) - 1u;
  var cursor = first_seen(control.position + first / sharing + 1u);
  var end = control.position + last / sharing + 1u;
  if (params.splits > 0u) {
    let span = first_seen(control.position + 1u) / params.span_keys + group.z;
    cursor = max(cursor, span * params.span_keys);
    end = min(end, (span + 1u) * params.span_keys);
  }
  if (cursor >= end) {
    return;
  }
  let own = rows_from(first + local.y * ROWS, count - 1u);
  let own_tokens = own / sharing;
  let own_heads = own - own_tokens * sharing + group.x * sharing;
  let own_queries = (own_tokens * params.heads + own_heads) * params.key_quads;
  let ends = own_tokens + (control.position + 1u);
  let starts = max(ends, Counts(params.window)) - params.window;
  let first_lane = local.y * LANES;

  var total = Total(Scores(LOWEST), Scores());
  var totals: array<Mixed, SLOTS>;
  if (params.has_sinks != 0u && params.splits == 0u) {
    total = Total(sinks_of(own_heads), Scores(1.0));
  }
  while (cursor < end) {
    let span_end = min(end, (cursor / params.span_keys + 1u) * params.span_keys);
    var span = Total(Scores(LOWEST), Scores());
    var mixed: array<Mixed, SLOTS>;
    while (cursor < span_end) {
      let tile_first = cursor / (KEYS * LANES) * (KEYS * LANES);
      let tile_end = min(tile_first + KEYS * LANES, span_end);
      let first_row = cursor % params.rows;
      let first_key = tile_first + KEYS * lane;
      var scores = nothing_seen();
      var top = Scores(LOWEST);
      if (first_key < tile_end) {
        let keys = vec4u(first_key) + vec4u(0u, 1u, 2u, 3u);
        let distances = clamp(keys, vec4u(cursor), vec4u(tile_end - 1u)) - cursor;
        let rows = first_row + distances;
        let round = select(rows, rows - params.rows, rows >= vec4u(params.rows));
        scores = scores_of(own_queries, round, group.x * params.key_head_quads);
        for (var i = 0u; i < KEYS; i++) {
          let seen = (Counts(keys[i]) >= starts) & (Counts(keys[i]) < ends);
          scores[i] = select(Scores(LOWEST), scores[i], seen);
          top = max(top, scores[i]);
        }
      }
      lane_highest[first_lane + lane] = top;
      workgroupBarrier();
      var tile = Total(span.highest, Scores());
      for (var other = 0u; other < LANES; other++) {
        tile.highest = max(tile.highest, lane_highest[first_lane + other]);
      }
      var lane_sum = Scores();
      for (var i = 0u; i < KEYS; i++) {
        // Unseen keys count nothing even where no other key is seen.
        let unseen = scores[i] == Scores(LOWEST);
        let weight = select(exp(scores[i] - tile.highest), Scores(), unseen);
        weights[KEYS * (first_lane + lane) + i] = weight;
        lane_sum += weight;
      }
      lane_sums[first_lane + lane] = lane_sum;
      workgroupBarrier();
      for (var other = 0u; other < LANES; other++) {
        tile.sum += lane_sums[first_lane + other];
      }
      let factor = factor_of(span, tile);
      let first_weight = KEYS * first_lane + cursor - tile_first;
      for (var slot = 0u; slot < SLOTS; slot++) {
        let quad = lane + slot * LANES;
        if (quad < params.value_quads) {
          let head_quad = group.x * params.value_head_quads + quad;
          let added = mixture(first_weight, first_row, tile_end - cursor, head_quad);
          mixed[slot] = scaled(mixed[slot], factor) + added;
        }
      }
      span = total_of(span, tile);
      cursor = tile_end;
    }
    let own_factor = factor_of(total, span);
    let span_factor = factor_of(span, total);
    for (var slot = 0u; slot < SLOTS; slot++) {
      totals[slot] = scaled(totals[slot], own_factor) + scaled(mixed[slot], span_factor);
    }
    total = total_of(total, span);
  }
  for (var row = 0u; row < ROWS; row++) {
    let index = first + local.y * ROWS + row;
    if (index < count) {
      let head = group.x * sharing + index % sharing;
      write_row(index / sharing * params.heads + head, row, group.z, lane, total, totals);
    }
  }
}
