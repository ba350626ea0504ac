/** The rows of `tokenIds` times `scale`, rounded once; an id past the table's end gives its last row. table [vocab, hidden] */
export function embedReference(
  table: Float32Array,
  hidden: number,
  tokenIds: readonly number[],
  scale = 1,
): Float32Array {
  const last = table.length / hidden - 1;
  const rows = tokenIds.map((id) => {
    const first = Math.min(id, last) * hidden;
    return Array.from(table.subarray(first, first + hidden), (weight) => scale * weight);
  });
  return Float32Array.from(rows.flat());
}
