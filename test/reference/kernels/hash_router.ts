/** The experts that `table` `[vocab, topK]` has for each token; an id from vocab on counts as the last. */
export function hashRouterReference(
  table: Uint32Array,
  topK: number,
  tokenIds: readonly number[],
): number[] {
  const vocab = table.length / topK;
  return tokenIds.flatMap((id) => {
    const row = Math.min(id, vocab - 1);
    return [...table.subarray(row * topK, (row + 1) * topK)];
  });
}
