import type { CacheFormat } from "../../src/formats/cache/format.ts";
import { KEY_BLOCK, type KvLayout } from "../../src/ops/kv-layout.ts";

/** Numbers that a cache holds, with what heads are padded by: keys row after row, then values. */
export function cacheNumbers({ rows, keyRowQuads, valueRowQuads }: KvLayout): number {
  return 4 * rows * (keyRowQuads + valueRowQuads);
}

/** The words of a cache of `numbers`: keys `[rows, 4 * keyRowQuads]`, then values `[rows, 4 * valueRowQuads]`. */
export function packCache(
  format: CacheFormat,
  layout: KvLayout,
  numbers: Float32Array,
): Uint32Array<ArrayBuffer> {
  const natural = format.encode(numbers);
  const packed = natural.slice();
  for (const { inRows, inBlocks, words } of keyQuads(format, layout)) {
    packed.set(natural.subarray(inRows, inRows + words), inBlocks);
  }
  return packed;
}

/** The numbers of a cache, exactly as a shader must see them: the opposite of {@link packCache}. */
export function unpackCache(
  format: CacheFormat,
  layout: KvLayout,
  packed: Uint32Array,
): Float32Array {
  const natural = packed.slice();
  for (const { inRows, inBlocks, words } of keyQuads(format, layout)) {
    natural.set(packed.subarray(inBlocks, inBlocks + words), inRows);
  }
  return format.decode(natural);
}

/** For each four numbers of keys the word at which they are row after row, and where the cache has them. */
function* keyQuads({ bitsPerNumber }: CacheFormat, { rows, keyRowQuads }: KvLayout) {
  const words = bitsPerNumber / 8;
  for (let row = 0; row < rows; row++) {
    for (let quad = 0; quad < keyRowQuads; quad++) {
      const block = Math.floor(row / KEY_BLOCK) * keyRowQuads + quad;
      const inBlocks = block * KEY_BLOCK + (row % KEY_BLOCK);
      yield { inRows: words * (row * keyRowQuads + quad), inBlocks: words * inBlocks, words };
    }
  }
}
