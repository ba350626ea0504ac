import type { CacheFormat } from "../formats/cache/format.ts";
import type { ModelSpec } from "../models/model.ts";
import { KEY_BLOCK, planKvCache } from "../ops/kv-layout.ts";
import type { AttentionSpec } from "../ops/ops.ts";

/** What the size of a KV cache depends on beside the model. */
export interface CacheSize {
  readonly contextTokens: number;
  /** Tokens of a pass, at most: see `plannedChunk`. */
  readonly chunkTokens: number;
}

/**
 * Rows of a layer's KV cache: one for each token of the context or, with a sliding window, a ring in which a pass may
 * write all its keys before its first query has read the oldest one of its window. Whole blocks of rows.
 */
export function cacheRows({ window }: AttentionSpec, { contextTokens, chunkTokens }: CacheSize) {
  const rows = Math.min(contextTokens, (window ?? contextTokens) + chunkTokens - 1);
  return Math.ceil(rows / KEY_BLOCK) * KEY_BLOCK;
}

/** Bytes of a layer's KV cache. */
export function kvCacheBytes(spec: AttentionSpec, format: CacheFormat, size: CacheSize): number {
  return planKvCache(spec, format, cacheRows(spec, size)).bytes;
}

/**
 * The earliest position above 0 that a model can go back to and go on from, once `writtenTokens` have been written to
 * its caches, and its recurrent states are those after `stateTokens`: a ring has overwritten what is further back, and a
 * state cannot go back. At 0 any model starts anew.
 */
export function earliestReturn(
  { attention, recurrent }: Pick<ModelSpec, "attention" | "recurrent">,
  size: CacheSize,
  writtenTokens: number,
  stateTokens = writtenTokens,
): number {
  const returns = attention.map((spec) => {
    const rows = cacheRows(spec, size);
    // The query at a position reads the window - 1 keys before it: they must be among the last rows that were written.
    return writtenTokens <= rows
      ? 0
      : writtenTokens - rows + (spec.window ?? size.contextTokens) - 1;
  });
  return Math.max(recurrent.length > 0 ? stateTokens : 0, ...returns);
}
