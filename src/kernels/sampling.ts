/** Logits of a workgroup: see `shaders/sample/blocks.wgsl`. */
export const BLOCK = 1024;

/** Words of the bins, and of what is remembered behind them: see `shaders/sample/places.wgsl`. */
export const BIN_WORDS = 3 * 3 * 1024 + 5;

/** Bytes of a block's peak. */
export const PEAK_BYTES = 8;

/** Words of all peaks of `vocab` logits. */
export function peakWords(vocab: number): number {
  return (PEAK_BYTES / 4) * logitBlocks(vocab);
}

/** Blocks of `vocab` logits. */
export function logitBlocks(vocab: number): number {
  return Math.ceil(vocab / BLOCK);
}
