// Causal grouped-query attention over cached keys and values.
//   result = sum over keys j <= position + token of p_j * v_j, p = softmax of the scores
//   score_j = scale * q . k_j or, with a softcap, softcap * tanh(scale * q . k_j / softcap)
// A sink is one more score, of no value: exp(sink) is added to the sum of the softmax.
// sinks [heads] if has_sinks. out [tokens, heads, value_quads], vec4; or where splits > 0
// [tokens, heads, splits, value_quads + 1], what merging reads (merge.wgsl): the highest score, the
// sum and two zeros, then the mixture of values.
// cache (shaders/cache/place.wgsl): a token's keys are key_row_quads fours of numbers, a head's at
// key_head_quads times its index. Values likewise; with value_shift 3 they are the first
// value_quads of the keys. Position p is in row p % rows; rows is a multiple of 8.
// A query sees its last `window` keys. Heads share keys: kv_head = head / (heads / kv_heads).
//
// A row is a query, of any token and any head of a KV head. A workgroup takes GROUPS times ROWS
// rows of KV head x. Keys go in tiles of KEYS * LANES, KEYS a lane, the softmax renormalised from
// tile to tile, and tiles in spans of span_keys, a multiple, which are added up in order. Both
// start at multiples of their length, so a query's sums have one order whatever else is in its
// pass. With splits, workgroup z takes the z-th span that the pass's first token sees, and leaves
// the sum to who merges. value_quads is at most 2 * LANES.
// Source: Milakov & Gimelshein, "Online normalizer calculation for softmax"; Dao, "Flash-Decoding".
// Needs: params of these names, sinks, out, query_places and query_quad (the kernel); Scores and
// the rest (rows_*), KEYS (keys_*), weigh (weights.wgsl), Total (totals.wgsl), cache_quad
// (shaders/cache), control (shaders/control).
const SLOTS = 2u;

// Four dimensions of a key's value, from four `quad` of the cache's row on.
fn value_quad(tile: Tile, key: u32, quad: u32) -> vec4f {
  let shift = params.value_shift;
  let row = row_behind(tile.start_row, key - tile.start);
  let place = ((row >> shift) * params.value_row_quads + quad) << shift;
  let at = params.values_first + place + (row & ((1u << shift) - 1u));
  let scale = params.value_scales + row * params.value_row_quads / 8u + quad / 8u;
  return cache_quad(at, scale);
}

// `rows` and weight times value of four keys. The values are read before the first is added, so
// that none waits for another.
fn plus_four(rows: Mixed, tile: Tile, key: u32, first_weight: u32, quad: u32) -> Mixed {
  let a = value_quad(tile, key, quad);
  let b = value_quad(tile, key + 1u, quad);
  let c = value_quad(tile, key + 2u, quad);
  let d = value_quad(tile, key + 3u, quad);
  var sum = plus_weighted(rows, weights[first_weight], a);
  sum = plus_weighted(sum, weights[first_weight + 1u], b);
  sum = plus_weighted(sum, weights[first_weight + 2u], c);
  return plus_weighted(sum, weights[first_weight + 3u], d);
}

// The sums of weight times value over a tile's keys, four dimensions each: of the lane's first four
// and of those LANES fours behind them, as far as there are any. Where lanes have a key each, which
// they have for adapters that wait for memory, keys are taken four at a time.
fn mixture(tile: Tile, first_weight: u32, head_quad: u32, lane: u32) -> array<Mixed, SLOTS> {
  var near = Mixed();
  var far = Mixed();
  if (lane >= params.value_quads) {
    return array<Mixed, SLOTS>(near, far);
  }
  let has_both = lane + LANES < params.value_quads;
  let quad = head_quad + lane;
  let weight = first_weight - tile.first;
  var key = tile.start;
  for (; KEYS == 1u && key + 4u <= tile.end; key += 4u) {
    near = plus_four(near, tile, key, weight + key, quad);
    if (has_both) {
      far = plus_four(far, tile, key, weight + key, quad + LANES);
    }
  }
  for (; key < tile.end; key++) {
    let own = weights[weight + key];
    near = plus_weighted(near, own, value_quad(tile, key, quad));
    if (has_both) {
      far = plus_weighted(far, own, value_quad(tile, key, quad + LANES));
    }
  }
  return array<Mixed, SLOTS>(near, far);
}

// Leaves a query's result in `out`: the sum of values, divided, or one of `splits` parts of it.
fn write_row(query: u32, row: u32, split: u32, lane: u32, total: Total, mixed: Mixed, slot: u32) {
  let quad = lane + slot * LANES;
  if (quad >= params.value_quads) {
    return;
  }
  let values = quad_of(mixed, row);
  let sum = number_of(total.sum, row);
  if (params.splits == 0u) {
    out[query * params.value_quads + quad] = values / sum;
    return;
  }
  let first = (query * params.splits + split) * (params.value_quads + 1u);
  out[first + 1u + quad] = values;
  if (quad == 0u) {
    out[first] = vec4f(number_of(total.highest, row), sum, 0.0, 0.0);
  }
}

// Keys from `start` to `end`.
struct Keys {
  start: u32,
  end: u32,
}

// The keys that a workgroup goes through; none where it has no query that sees any.
fn keys_of(group: vec3u) -> Keys {
  let sharing = params.heads / params.kv_heads;
  let first = group.y * ROWS * GROUPS;
  let count = control.tokens * sharing;
  if (first >= count) {
    return Keys();
  }
  let last = min(first + ROWS * GROUPS, count) - 1u;
  let start = first_seen(control.position + first / sharing + 1u);
  let end = control.position + last / sharing + 1u;
  if (params.splits == 0u) {
    return Keys(start, end);
  }
  let span = first_seen(control.position + 1u) / params.span_keys + group.z;
  return Keys(
    max(start, span * params.span_keys),
    min(end, (span + 1u) * params.span_keys),
  );
}

// The results of a workgroup's queries. Every lane must call it.
fn attend(group: vec3u, local: vec3u, seen: Keys) {
  let lane = local.x;
  let sharing = params.heads / params.kv_heads;
  let count = control.tokens * sharing;
  let own_first = (group.y * GROUPS + local.y) * ROWS;
  let queries = queries_from(own_first, count - 1u, group.x, group.z);
  let first_lane = local.y * LANES;
  let head_quad = group.x * params.value_head_quads;

  var total = nothing();
  if (params.has_sinks != 0u && params.splits == 0u) {
    total = Total(sinks_of(queries.heads), Scores(1.0));
  }
  var near = Mixed();
  var far = Mixed();
  var start = seen.start;
  while (start < seen.end) {
    let span_end = min(seen.end, (start / params.span_keys + 1u) * params.span_keys);
    var span = nothing();
    var span_near = Mixed();
    var span_far = Mixed();
    while (start < span_end) {
      let tile = tile_from(start, span_end);
      let weighed = weigh(queries, tile, span.highest, lane, first_lane);
      let factor = factor_of(span, weighed);
      let added = mixture(tile, KEYS * first_lane, head_quad, lane);
      span_near = plus_scaled(added[0], span_near, factor);
      span_far = plus_scaled(added[1], span_far, factor);
      span = total_of(span, weighed);
      start = tile.end;
    }
    let own_factor = factor_of(total, span);
    let span_factor = factor_of(span, total);
    near = plus_scaled(scaled(span_near, span_factor), near, own_factor);
    far = plus_scaled(scaled(span_far, span_factor), far, own_factor);
    total = total_of(total, span);
  }
  for (var row = 0u; row < ROWS && own_first + row < count; row++) {
    let token = (own_first + row) / sharing;
    let head = group.x * sharing + own_first + row - token * sharing;
    write_row(token * params.heads + head, row, group.z, lane, total, near, 0u);
    write_row(token * params.heads + head, row, group.z, lane, total, far, 1u);
  }
}
