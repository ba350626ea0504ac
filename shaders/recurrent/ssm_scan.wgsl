// The scan of Mamba 2. For each head h and dimension d, token after token:
//   dt = softplus(projected[token, times_first + h] + time_bias[h])
//   state[h, d, :] = exp(dt * decay[h]) * state[h, d, :] + dt * u[token, h, d] * b[token, group, :]
//   y[token, h, d] = dot(state[h, d, :], c[token, group, :]) + skip[h] * u[token, h, d]
// where group = h / (heads / groups).
// x [tokens, width]: u [heads, head_dim], then b and c, each [groups, state_dim];
// projected [tokens, projected_width]; heads_own [3, heads]: time_bias, decay, skip;
// state [heads, head_dim, state_dim]: zeros at position 0; y [tokens, heads, head_dim].
// LANES lanes share a row of the state, ROWS rows share a workgroup. A row's lanes take it through
// all tokens. head_dim * heads, state_dim and width are multiples of 4.
// Needs: row_sum (shaders/reduce), control (shaders/control).
override LANES: u32 = 1u;
override ROWS: u32 = 64u;

struct Params {
  heads: u32,
  head_dim: u32,
  groups: u32,
  state_dim: u32,
  width: u32,
  projected_width: u32,
  times_first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> projected: array<f32>;
@group(0) @binding(3) var<storage, read> heads_own: array<f32>;
@group(0) @binding(4) var<storage, read_write> state: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

// log(1 + exp(v)). The logarithm is 2 atanh(z) as a series: z is at most 1/3, so that what is left
// out is below the rounding of f32, also where the result is small and log(1 + e) would be off.
fn softplus(v: f32) -> f32 {
  let e = exp(-abs(v));
  let z = e / (2.0 + e);
  let q = z * z;
  let series = 1.0 + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0
    + q * (1.0 / 11.0 + q * (1.0 / 13.0 + q / 15.0))))));
  return max(v, 0.0) + 2.0 * z * series;
}

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  if (control.fault != 0u) {
    return;
  }
  let row = (group.y * grid.x + group.x) * ROWS + local.y;
  // Rows past the end do nothing, but all lanes have to reach the barriers of row_sum.
  let is_row = row < params.heads * params.head_dim;
  let head = min(row / params.head_dim, params.heads - 1u);
  let quads = params.state_dim / 4u;
  let b_first = params.heads * params.head_dim / 4u + head / (params.heads / params.groups) * quads;
  let c_first = b_first + params.groups * quads;
  let time_bias = heads_own[head];
  let decay = heads_own[params.heads + head];
  let skip = heads_own[2u * params.heads + head];
  for (var token = 0u; token < control.tokens; token++) {
    let x_first = token * params.width / 4u;
    var u = 0.0;
    var sum = 0.0;
    if (is_row) {
      let time = projected[token * params.projected_width + params.times_first + head];
      let dt = softplus(time + time_bias);
      let kept = exp(dt * decay);
      let is_first = control.position + token == 0u;
      u = x[x_first + row / 4u][row % 4u];
      for (var quad = local.x; quad < quads; quad += LANES) {
        let before = select(state[row * quads + quad], vec4f(), is_first);
        let after = kept * before + (dt * u) * x[x_first + b_first + quad];
        state[row * quads + quad] = after;
        sum += dot(after, x[x_first + c_first + quad]);
      }
    }
    let total = row_sum(sum, local.x, local.y);
    if (is_row && local.x == 0u) {
      y[token * params.heads * params.head_dim + row] = total + skip * u;
    }
  }
}
