import { type CacheFormat, planCache } from "../formats/cache/format.ts";
import type { AttentionSpec } from "./ops.ts";

/** Rows whose keys lie in one block: a cache has whole blocks. See `shaders/cache/place.wgsl`. */
export const KEY_BLOCK = 8;

/**
 * Where a layer's keys and values lie in its cache: all keys, in blocks of {@link KEY_BLOCK} rows, then all values, row
 * after row. Counted in quads, four numbers of a head, but for `rows` and what says otherwise.
 */
export interface KvLayout {
  readonly rows: number;
  /** From a head's keys or values to the next one's: with what a head is padded by. */
  readonly keyHeadQuads: number;
  readonly valueHeadQuads: number;
  /** Of a token; no values where they are a part of the keys. */
  readonly keyRowQuads: number;
  readonly valueRowQuads: number;
  readonly valuesFirst: number;
  /** The words at which the scales of keys and of values start. */
  readonly keyScales: number;
  readonly valueScales: number;
  readonly bytes: number;
}

/** The size of a head's values. */
export function valueDimOf({ headDim, valueDim }: AttentionSpec): number {
  return valueDim ?? headDim;
}

/** Lays out the cache of a layer for `rows` tokens, whole blocks of them. */
export function planKvCache(spec: AttentionSpec, format: CacheFormat, rows: number): KvLayout {
  if (rows % KEY_BLOCK !== 0) throw new Error(`unreachable: a cache of ${rows} rows`);
  const quads = (numbers: number) =>
    (Math.ceil(numbers / format.headNumbers) * format.headNumbers) / 4;
  const keyHeadQuads = quads(spec.headDim);
  const valueHeadQuads = spec.valuesInKeys ? 0 : quads(valueDimOf(spec));
  const keyRowQuads = spec.kvHeads * keyHeadQuads;
  const valueRowQuads = spec.kvHeads * valueHeadQuads;
  const valuesFirst = spec.valuesInKeys ? 0 : rows * keyRowQuads;
  const { scalesFirst, words } = planCache(format, 4 * rows * (keyRowQuads + valueRowQuads));
  const { words: keyWords, scalesFirst: keyQuants } = planCache(format, 4 * rows * keyRowQuads);
  return {
    rows,
    keyHeadQuads,
    valueHeadQuads,
    keyRowQuads,
    valueRowQuads,
    valuesFirst,
    keyScales: scalesFirst,
    valueScales: scalesFirst + (keyWords - keyQuants),
    bytes: 4 * words,
  };
}
