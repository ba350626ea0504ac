const PRIME_1 = 0x9e37_79b1;
const PRIME_2 = 0x85eb_ca77;
const PRIME_3 = 0xc2b2_ae3d;
const PRIME_4 = 0x27d4_eb2f;
const PRIME_5 = 0x1656_67b1;

/**
 * A checksum of 32 bits that is fast on megabytes: four sums over u32 words, each a bijection of every word it takes
 * in, so that a change of one word always shows; other damage shows but for one case in 2^32. Not for secrets.
 *
 * Bytes that do not start at a multiple of 4 in their buffer are copied first. Words are read in the order of the
 * host, which every platform with WebGPU has little-endian.
 *
 * Source: xxHash, XXH32.
 */
export function xxh32(bytes: Uint8Array, seed = 0): number {
  const whole = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const words = new Int32Array(whole.buffer, whole.byteOffset, whole.length >>> 2);
  const striped = words.length & ~3;
  let hash = striped > 0 ? hashStripes(words, striped, seed) : (seed + PRIME_5) | 0;
  hash = (hash + whole.length) | 0;
  for (let index = striped; index < words.length; index += 1) {
    hash = (hash + Math.imul(words[index]!, PRIME_3)) | 0;
    hash = Math.imul(rotate(hash, 17), PRIME_4);
  }
  for (let index = words.length * 4; index < whole.length; index += 1) {
    hash = (hash + Math.imul(whole[index]!, PRIME_5)) | 0;
    hash = Math.imul(rotate(hash, 11), PRIME_1);
  }
  hash = Math.imul(hash ^ (hash >>> 15), PRIME_2);
  hash = Math.imul(hash ^ (hash >>> 13), PRIME_3);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The four sums over `words[0, count)`, merged; `count` is a multiple of 4. */
function hashStripes(words: Int32Array, count: number, seed: number): number {
  let a = (seed + PRIME_1 + PRIME_2) | 0;
  let b = (seed + PRIME_2) | 0;
  let c = seed | 0;
  let d = (seed - PRIME_1) | 0;
  for (let index = 0; index < count; index += 4) {
    a = (a + Math.imul(words[index]!, PRIME_2)) | 0;
    a = Math.imul((a << 13) | (a >>> 19), PRIME_1);
    b = (b + Math.imul(words[index + 1]!, PRIME_2)) | 0;
    b = Math.imul((b << 13) | (b >>> 19), PRIME_1);
    c = (c + Math.imul(words[index + 2]!, PRIME_2)) | 0;
    c = Math.imul((c << 13) | (c >>> 19), PRIME_1);
    d = (d + Math.imul(words[index + 3]!, PRIME_2)) | 0;
    d = Math.imul((d << 13) | (d >>> 19), PRIME_1);
  }
  return (rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)) | 0;
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
