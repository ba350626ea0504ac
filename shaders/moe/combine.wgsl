// y[token, i] = residual[token, i] + sum over choices of weight[pair] * x[pair, i]
// where pair = token * top_k + choice, summed in the router's order, so that the result does not
// depend on when an expert was computed. Without has_residual, residual is not read.
// x [pairs, hidden]; residual and y [tokens, hidden];
// expert_weights [moe layers, max_tokens, top_k]: this layer's start at routing_first.
// Needs: control (shaders/control).
override LANES: u32 = 64u;

struct Params {
  hidden: u32,
  top_k: u32,
  routing_first: u32,
  has_residual: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> expert_weights: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let token = thread.y;
  if (control.fault != 0u || thread.x >= params.hidden || token >= control.tokens) {
    return;
  }
  var sum = 0.0;
  for (var choice = 0u; choice < params.top_k; choice++) {
    let pair = token * params.top_k + choice;
    let weight = expert_weights[params.routing_first + pair];
    sum = fma(weight, x[pair * params.hidden + thread.x], sum);
  }
  let index = token * params.hidden + thread.x;
  if (params.has_residual != 0u) {
    sum += residual[index];
  }
  y[index] = sum;
}
