// The words of a weight tensor, or of an arena of experts: group 1.
//
// A format X supplies one function over them:
//   load_X(base, count, unit) = weights [8 * unit, 8 * unit + 8) of a matrix,
//   base: word at which the matrix starts in `weights`;
//   count: how many weights the matrix has (tells the planes' offsets);
// or, where 32 weights from a multiple of 32 on have one scale, or one and an offset, two:
//   scale_X(base, count, unit) = these, the same for four units;
//   unit_X(base, count, unit, scale) = what load_X would give.
// Planes follow one another, each padded to 4 words.
//
// A kernel calls them by names of its own, load_weights, scale_weights and unit_weights, or
// load_gate and so on, that are linked to the matrix's format (src/formats/parts.ts).
//
// These functions run for every eight weights. They shift and mask where they could divide:
// software adapters divide, even by a constant, one lane after the other.
@group(1) @binding(0) var<storage, read> weights: array<u32>;

// Words that a plane of `words` words takes.
fn padded_words(words: u32) -> u32 {
  return (words + 3u) & ~3u;
}

// Byte `index` of the plane that starts at word `plane`.
fn byte_at(plane: u32, index: u32) -> u32 {
  return (weights[plane + (index >> 2u)] >> (8u * (index & 3u))) & 0xffu;
}
