/** The rows of `tokenIds`, exactly; an id past the table's end gives its last row. table [vocab, hidden] */
export function embedReference(
  table: Float32Array,
  hidden: number,
  tokenIds: readonly number[],
): Float32Array {
  const last = table.length / hidden - 1;
  const rows = tokenIds.map((id) => {
    const first = Math.min(id, last) * hidden;
    return [...table.subarray(first, first + hidden)];
  });
  return Float32Array.from(rows.flat());
}
