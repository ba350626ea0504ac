/**
 * A way to keep keys and values. One object holds its layout on the GPU, its shader parts and its reference.
 *
 * A cache is a run of numbers, packed at so many bits each, and behind them the scales of those formats that have any.
 */
export interface CacheFormat {
  /** The name that users give: `q8_0`. */
  readonly name: string;
  /** Numbers that are packed together: a token's keys of a layer are padded to a whole number of units. */
  readonly unitNumbers: number;
  readonly bitsPerNumber: number;
  /** Words that the scales of a unit take. */
  readonly scaleWords: number;
  /** WGSL with `cache_quad` and `cache_value`. See `shaders/cache/f32.wgsl`. */
  readonly read: string;
  /** WGSL with `store_unit`. Undefined: numbers are written as they are, with no packing. */
  readonly write: string | undefined;
  /** The words of a cache that holds `numbers`, whole units of them; for tests. */
  encode(numbers: Float32Array): Uint32Array<ArrayBuffer>;
  /** The numbers of a cache, exactly as the shader must see them: the reference of its tests. */
  decode(words: Uint32Array): Float32Array;
}

/** Words of a cache of `numbers` numbers, whole units of them: where its scales start, and all of it. */
export function planCache(
  { unitNumbers, bitsPerNumber, scaleWords }: CacheFormat,
  numbers: number,
): { readonly scalesFirst: number; readonly words: number } {
  const scalesFirst = (numbers * bitsPerNumber) / 32;
  return { scalesFirst, words: scalesFirst + (numbers / unitNumbers) * scaleWords };
}
