// An input in blocks of bytes, as quantise.wgsl writes it.
alias InputElement = vec4u;

// Where the block begins that has the numbers of quad `quad`.
fn block_quad(quad: u32) -> u32 {
  return 3u * (quad >> 3u);
}

// Columns 4 * quad to 4 * quad + 3 of the input that starts where quad `first` of its numbers does.
fn input_quad(first: u32, quad: u32) -> vec4f {
  let at = block_quad(first + quad);
  let word = x[at + ((quad >> 2u) & 1u)][quad & 3u];
  return unpack4x8snorm(word) * bitcast<f32>(x[at + 2u].w);
}

// Number `index` of those from number `first` on, which are in no block but stand behind the last:
// four where a block would have its sums.
fn raw_number(first: u32, index: u32) -> f32 {
  return bitcast<f32>(x[block_quad(first / 4u + 8u * (index / 4u)) + 2u][index % 4u]);
}
