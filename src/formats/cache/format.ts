/**
 * A way to keep keys and values. One object holds its layout on the GPU, its shader parts and its reference.
 *
 * A cache is a run of numbers, packed at so many bits each, and behind them the scales of those formats that have any:
 * an f32 for each block of {@link BLOCK_NUMBERS}.
 */
export interface CacheFormat {
  /** The name that users give: `q8_0`. */
  readonly name: string;
  /** A head's keys are padded to a multiple of so many numbers. */
  readonly headNumbers: number;
  readonly bitsPerNumber: number;
  readonly scaled: boolean;
  /** WGSL with `Cached` and `cache_quad`. See `shaders/cache/f32.wgsl`. */
  readonly read: string;
  /** WGSL with `store_piece`, to be linked beside `read`. See `shaders/cache/store_f32.wgsl`. */
  readonly write: string;
  /** The words of a cache that holds `numbers`, whole heads of them, one after another; for tests. */
  encode(numbers: Float32Array): Uint32Array<ArrayBuffer>;
  /** The numbers of a cache, exactly as the shader must see them: the reference of its tests. */
  decode(words: Uint32Array): Float32Array;
}

/** Numbers that share a scale, in formats that have scales. */
export const BLOCK_NUMBERS = 32;

/** Words of a cache of `numbers` numbers, whole heads of them: where its scales start, and all of it. */
export function planCache(
  { bitsPerNumber, scaled }: Pick<CacheFormat, "bitsPerNumber" | "scaled">,
  numbers: number,
): { readonly scalesFirst: number; readonly words: number } {
  const scalesFirst = (numbers * bitsPerNumber) / 32;
  return { scalesFirst, words: scalesFirst + (scaled ? numbers / BLOCK_NUMBERS : 0) };
}
