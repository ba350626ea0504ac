// Keys and values in blocks of 32 signed bytes, 4 a word: number = quant * scale. See f32.wgsl.
// Scales: an f32 for each block, behind all quants.
alias Cached = u32;

fn cache_quad(quad: u32, scale: u32) -> vec4f {
  return vec4f(unpack4xI8(cache[quad])) * bitcast<f32>(cache[scale]);
}
