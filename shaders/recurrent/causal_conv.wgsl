// y[token, c] = conv_output(sum over k of filters[c, k] * u[token - taps + 1 + k, c])
// where u = conv_input(x), and u before the pass is the state.
// x [tokens, width]; filters [channels, taps], then what conv_output adds [channels];
// state [taps - 1, channels]: the last inputs, oldest first; zeros at position 0.
// y [tokens, channels].
// A thread takes its channel through all tokens, so that the state is read before it is written.
// taps is at most MAX_TAPS.
// Needs: conv_input and conv_output (shaders/recurrent), control (shaders/control).
override LANES: u32 = 64u;

const MAX_TAPS = 8u;

struct Params {
  channels: u32,
  taps: u32,
  width: u32,
  input_first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> filters: array<f32>;
@group(0) @binding(3) var<storage, read_write> state: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let channel = thread.x;
  if (control.fault != 0u || channel >= params.channels) {
    return;
  }
  let before = params.taps - 1u;
  var inputs: array<f32, MAX_TAPS>;
  for (var k = 0u; k < before; k++) {
    inputs[k] = select(state[k * params.channels + channel], 0.0, control.position == 0u);
  }
  for (var token = 0u; token < control.tokens; token++) {
    inputs[before] = conv_input(token, channel);
    var sum = 0.0;
    for (var k = 0u; k < params.taps; k++) {
      sum += filters[channel * params.taps + k] * inputs[k];
    }
    y[token * params.channels + channel] = conv_output(token, channel, sum);
    for (var k = 0u; k < before; k++) {
      inputs[k] = inputs[k + 1u];
    }
  }
  for (var k = 0u; k < before; k++) {
    state[k * params.channels + channel] = inputs[k];
  }
}
