/** Numbers that a seed decides. */
export interface Random {
  /** A whole number, all 2^32 equally likely. */
  uint32(): number;
  /** A number in [0, 1), a multiple of 2^-32. */
  uniform(): number;
  /** A whole number in [0, `count`); `count` is at most 2^32. The bias is below `count` / 2^32. */
  integer(count: number): number;
  /** A number of the normal distribution with mean 0 and deviation 1. */
  normal(): number;
}

/**
 * A stream of random numbers, the same for the same `seed` (taken modulo 2^32). Not for secrets.
 *
 * The last bit of `normal` rests on the host's `Math.log`; everything else is the same in every host.
 *
 * Source: sfc32 of PractRand, its state filled by splitmix32.
 */
export function createRandom(seed: number): Random {
  const uint32 = sfc32(splitmix32(seed));
  const uniform = () => uint32() / 2 ** 32;
  let spare: number | undefined;

  /** Marsaglia's polar method: a point in the unit disc gives two numbers, one of them kept for the next call. */
  function normal(): number {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    for (;;) {
      const x = 2 * uniform() - 1;
      const y = 2 * uniform() - 1;
      const square = x * x + y * y;
      if (square >= 1 || square === 0) continue;
      const factor = Math.sqrt((-2 * Math.log(square)) / square);
      spare = y * factor;
      return x * factor;
    }
  }

  return { uint32, uniform, integer: (count) => Math.floor(uniform() * count), normal };
}

/**
 * The number that a seed gives to an index: a multiple of 2^-24 in [0, 1), without the numbers before it. Also in
 * `shaders/sample/uniform.wgsl`.
 *
 * Source: pcg3d of Jarzynski and Olano, Hash Functions for GPU Rendering, JCGT 9(3), 2020.
 */
export function uniformAt(seed: number, index: number): number {
  const { low, high } = seedWords(seed);
  const spread = (word: number) => (Math.imul(word, 1_664_525) + 1_013_904_223) | 0;
  let [x, y, z] = [spread(low), spread(high), spread(index)];
  x = (x + Math.imul(y, z)) | 0;
  y = (y + Math.imul(z, x)) | 0;
  z = (z + Math.imul(x, y)) | 0;
  [x, y, z] = [x ^ (x >>> 16), y ^ (y >>> 16), z ^ (z >>> 16)];
  return ((x + Math.imul(y, z)) >>> 8) / 2 ** 24;
}

/** A seed of any size in words of 32 bits. */
export function seedWords(seed: number): { readonly low: number; readonly high: number } {
  return { low: seed >>> 0, high: Math.floor(seed / 2 ** 32) >>> 0 };
}

/** `length` normal numbers with mean 0 and the given deviation. */
export function normalArray(
  random: Random,
  length: number,
  deviation = 1,
): Float32Array<ArrayBuffer> {
  return new Float32Array(length).map(() => deviation * random.normal());
}

/** A generator that turns any seed, 0 too, into well spread words. */
function splitmix32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e37_79b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0_aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97);
    return mixed ^ (mixed >>> 15);
  };
}

function sfc32(next: () => number): () => number {
  let a = next();
  let b = next();
  let c = next();
  let counter = 1;
  return () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
}
