// conv_input and conv_output of a convolution of columns of x whose output is activated:
// gated(sum + bias, 1), where the biases lie behind the filters.
// Needs: x, params and filters of causal_conv, gated (shaders/act).
fn conv_input(token: u32, channel: u32) -> f32 {
  return x[token * params.width + params.input_first + channel];
}

fn conv_output(token: u32, channel: u32, sum: f32) -> f32 {
  return gated(sum + filters[params.channels * params.taps + channel], 1.0);
}
