const LOW_NIBBLES = 0x0f0f_0f0f;
const HIGH_NIBBLES = 0xf0f0_f0f0;
const LOW_PAIRS = 0x0303_0303;
const LOW_BITS = 0x0101_0101;

/** Times 4 bits, it has bit `i` at the foot of byte `i`. */
const SPREAD = 0x0020_4081;

/** A little-endian window on the bytes of `bytes`, wherever they start. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Splits 8 bytes into a word of their low nibbles and a word of their high ones.
 *
 * Byte `i` of a word holds nibble `i` in its low half and nibble `i + 4` in its high half, so that
 * `unpack4xU8(word & 0x0f0f0f0f)` and `unpack4xU8((word >> 4) & 0x0f0f0f0f)` are the eight in order.
 *
 * @param source the byte in `from` at which the 8 bytes start
 * @param low the byte in `to` at which the word of low nibbles goes
 * @param high the byte in `to` at which the word of high nibbles goes
 */
export function splitNibbles(
  from: DataView,
  source: number,
  to: DataView,
  low: number,
  high: number,
): void {
  const first = from.getUint32(source, true);
  const second = from.getUint32(source + 4, true);
  to.setUint32(low, (first & LOW_NIBBLES) | ((second & LOW_NIBBLES) << 4), true);
  to.setUint32(high, ((first >>> 4) & LOW_NIBBLES) | (second & HIGH_NIBBLES), true);
}

/**
 * Splits 16 bytes, each of four runs' 2 bits, into a word for each run: 16 weights.
 *
 * Byte `i` of a word holds, from its lowest bits up, weights `i`, `i + 4`, `i + 8` and `i + 12` of the run.
 *
 * @param source the byte in `from` at which the 16 bytes start
 * @param target the byte in `to` at which the word of run 0 goes
 * @param stride bytes from one run's word to the next one's
 */
export function splitPairs(
  from: DataView,
  source: number,
  to: DataView,
  target: number,
  stride: number,
): void {
  const first = from.getUint32(source, true);
  const second = from.getUint32(source + 4, true);
  const third = from.getUint32(source + 8, true);
  const fourth = from.getUint32(source + 12, true);
  for (let run = 0; run < 4; run++) {
    const shift = 2 * run;
    const word =
      ((first >>> shift) & LOW_PAIRS) |
      (((second >>> shift) & LOW_PAIRS) << 2) |
      (((third >>> shift) & LOW_PAIRS) << 4) |
      (((fourth >>> shift) & LOW_PAIRS) << 6);
    to.setUint32(target + stride * run, word, true);
  }
}

/**
 * Splits 32 bytes, each of eight runs' single bits, into a word for each run: 32 weights. The words follow one another.
 *
 * Byte `i` of a word holds, from its lowest bit up, weights `i`, `i + 4`, ... `i + 28` of the run.
 *
 * @param source the byte in `from` at which the 32 bytes start
 * @param target the byte in `to` at which the word of run 0 goes
 */
export function splitBits(from: DataView, source: number, to: DataView, target: number): void {
  for (let run = 0; run < 8; run++) {
    let word = 0;
    for (let quad = 0; quad < 8; quad++) {
      word |= ((from.getUint32(source + 4 * quad, true) >>> run) & LOW_BITS) << quad;
    }
    to.setUint32(target + 4 * run, word, true);
  }
}

/** The 32 bits of one run, weight 0 lowest, in the order of {@link splitBits}. */
export function spreadBits(bits: number): number {
  let word = 0;
  for (let quad = 0; quad < 8; quad++) {
    word |= (Math.imul((bits >>> (4 * quad)) & 15, SPREAD) & LOW_BITS) << quad;
  }
  return word >>> 0;
}

/** Copies `bytes` bytes, a multiple of 4, word by word: for runs that are too short for `Uint8Array.set`. */
export function copyWords(
  from: DataView,
  source: number,
  to: DataView,
  target: number,
  bytes: number,
): void {
  for (let byte = 0; byte < bytes; byte += 4) {
    to.setUint32(target + byte, from.getUint32(source + byte, true), true);
  }
}
