// conv_input and conv_output of a gated short convolution: x is b, c and v side by side, each
// [tokens, channels]; b * v is convolved, c multiplies what comes out.
// Needs: x and params of causal_conv, with input_first 0.
fn conv_input(token: u32, channel: u32) -> f32 {
  let first = token * params.width + channel;
  return x[first] * x[first + 2u * params.channels];
}

fn conv_output(token: u32, channel: u32, sum: f32) -> f32 {
  return x[token * params.width + params.channels + channel] * sum;
}
