import { type CacheFormat, planCache } from "../formats/cache/format.ts";
import type { AttentionSpec } from "./ops.ts";

/** Where a layer's keys and values lie in its cache: all keys, row after row, then all values. Counted in numbers. */
export interface KvLayout {
  readonly rows: number;
  /** Numbers of a token's keys, and of its values; 0 where values are a part of the keys. */
  readonly keyWidth: number;
  readonly valueWidth: number;
  /** The same with what a row is padded by. */
  readonly keyStride: number;
  readonly valueStride: number;
  /** The number at which values start. */
  readonly valuesFirst: number;
  /** The word at which the scales of the format start. */
  readonly scalesFirst: number;
  readonly bytes: number;
}

/** The size of a head's values. */
export function valueDimOf({ headDim, valueDim }: AttentionSpec): number {
  return valueDim ?? headDim;
}

/** Lays out the cache of a layer for `rows` tokens. */
export function planKvCache(spec: AttentionSpec, format: CacheFormat, rows: number): KvLayout {
  const keyWidth = spec.kvHeads * spec.headDim;
  const valueWidth = spec.valuesInKeys ? 0 : spec.kvHeads * valueDimOf(spec);
  const padded = (width: number) => Math.ceil(width / format.unitNumbers) * format.unitNumbers;
  const keyStride = padded(keyWidth);
  const valueStride = padded(valueWidth);
  const { scalesFirst, words } = planCache(format, rows * (keyStride + valueStride));
  return {
    rows,
    keyWidth,
    valueWidth,
    keyStride,
    valueStride,
    valuesFirst: spec.valuesInKeys ? 0 : rows * keyStride,
    scalesFirst,
    bytes: 4 * words,
  };
}
