/** The pairs of one slot, or of a tile of it. */
export interface PairGroup {
  readonly slot: number;
  readonly pairs: readonly number[];
}

/** The pairs in each slot that has any, by slot, each slot's in order. slots `[pairs]` */
export function pairsBySlot(slots: ArrayLike<number>, slotCount: number): PairGroup[] {
  return Array.from({ length: slotCount }, (_, slot) => ({
    slot,
    pairs: Array.from(slots).flatMap((at, pair) => (at === slot ? [pair] : [])),
  })).filter(({ pairs }) => pairs.length > 0);
}

/** The same, cut into tiles of at most `most` pairs. */
export function tilesOf(groups: readonly PairGroup[], most: number): PairGroup[] {
  return groups.flatMap(({ slot, pairs }) =>
    Array.from({ length: Math.ceil(pairs.length / most) }, (_, tile) => ({
      slot,
      pairs: pairs.slice(tile * most, (tile + 1) * most),
    })),
  );
}

/** What `group_tokens` writes: pairs, one tile after another, and where each tile's begin. */
export function groupTokensReference(
  slots: ArrayLike<number>,
  slotCount: number,
  tilePairs: number,
): { readonly pairs: Uint32Array<ArrayBuffer>; readonly tiles: Uint32Array<ArrayBuffer> } {
  const tiles = tilesOf(pairsBySlot(slots, slotCount), tilePairs);
  let first = 0;
  const words = tiles.flatMap(({ slot, pairs }) => {
    const tile = [slot, first, pairs.length, 0];
    first += pairs.length;
    return tile;
  });
  return {
    pairs: Uint32Array.from(tiles.flatMap(({ pairs }) => pairs)),
    tiles: Uint32Array.of(tiles.length, 0, 0, 0, ...words),
  };
}
