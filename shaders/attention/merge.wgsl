// Adds up what attention leaves of a query that it splits: for each span of span_keys keys the
// highest score, the sum of exp(score - highest) and the sum of exp(score - highest) * value. Spans
// are added up in order, from that of the first key that the query sees on, after its sink: exactly
// as attention does it where it does not split.
// parts [tokens, heads, splits, value_quads + 1], vec4: (highest, sum, 0, 0), then the mixture; a
// pass's first span is that of the first key that its first token sees. sinks [heads] if has_sinks.
// Needs: params of these names, parts, sinks (the kernel); control (shaders/control).
const LOWEST = -3.4e38;
// Parts that are read before the first of them is waited for.
const AT_ONCE = 8u;

fn first_seen(end: u32) -> u32 {
  return max(end, params.window) - params.window;
}

// Four numbers of what a head of a token attends to.
fn merged_quad(token: u32, head: u32, quad: u32) -> vec4f {
  let query = token * params.heads + head;
  let end = control.position + token + 1u;
  let pass_first = first_seen(control.position + 1u) / params.span_keys;
  let first = first_seen(end) / params.span_keys - pass_first;
  let last = (end - 1u) / params.span_keys - pass_first;
  var highest = LOWEST;
  var sum = 0.0;
  if (params.has_sinks != 0u) {
    highest = sinks[head];
    sum = 1.0;
  }
  var values = vec4f();
  for (var next = first; next <= last; next += AT_ONCE) {
    var totals: array<vec4f, AT_ONCE>;
    var mixtures: array<vec4f, AT_ONCE>;
    for (var i = 0u; i < AT_ONCE; i++) {
      let part = min(next + i, last);
      let at = (query * params.splits + part) * (params.value_quads + 1u);
      totals[i] = parts[at];
      mixtures[i] = parts[at + 1u + quad];
    }
    for (var i = 0u; i < AT_ONCE && next + i <= last; i++) {
      let total = totals[i];
      let top = max(highest, total.x);
      let own_factor = exp(highest - top);
      let part_factor = exp(total.x - top);
      values = fma(values, vec4f(own_factor), mixtures[i] * part_factor);
      sum = fma(sum, own_factor, total.y * part_factor);
      highest = top;
    }
  }
  return values / sum;
}
