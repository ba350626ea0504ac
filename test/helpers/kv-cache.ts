import { BLOCK_NUMBERS, type CacheFormat } from "../../src/formats/cache/format.ts";
import type { CacheFormatName } from "../../src/formats/cache/registry.ts";
import { KEY_BLOCK, type KvLayout } from "../../src/ops/kv-layout.ts";
import { DIVISION } from "../reference/kernels/bounds.ts";
import type { Bounded } from "./within.ts";

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

/**
 * How far a packed number may be from the number, in a block whose farthest from 0 is `top`. f16: WGSL rounds either way,
 * and may take what is below the normal numbers for 0. q8_0: half a step, and the errors of the divisions by the scale
 * and for it.
 */
const PACKING_ERRORS: Record<CacheFormatName, (number: number, top: number) => number> = {
  f32: () => 0,
  f16: (number) => Math.max(2 ** -10 * Math.abs(number), 2 ** -14),
  q8_0: (_, top) => (top / 127) * (0.5 + 2 * 127 * DIVISION) + 2 ** -126,
};

/** The largest number that f16 has: what is beyond is cut to it. */
const LARGEST_F16 = 65_504;

/** What a cache holds of a head `expected`, whose errors carry over. */
export function packedHead({ name }: CacheFormat, { values, bounds }: Bounded): Bounded {
  const errors = Array.from(values, (value, index) => {
    const first = index - (index % BLOCK_NUMBERS);
    const end = Math.min(first + BLOCK_NUMBERS, values.length);
    let top = 0;
    let carried = 0;
    for (let other = first; other < end; other++) {
      top = Math.max(top, Math.abs(values[other]!) + bounds[other]!);
      carried = Math.max(carried, bounds[other]!);
    }
    const own = PACKING_ERRORS[name as CacheFormatName](Math.abs(value) + bounds[index]!, top);
    // A scale that is off moves every number of its block.
    return name === "q8_0" ? own + 2 * carried : own + bounds[index]!;
  });
  const cut = (value: number) =>
    name === "f16" ? Math.min(LARGEST_F16, Math.max(-LARGEST_F16, value)) : value;
  return { values: Array.from(values, cut), bounds: errors };
}
