import { splitBits, splitNibbles, splitPairs } from "../numeric/bits.ts";

/**
 * Numbers of 4, 2 or 1 bits as ggml packs them: some bytes hold a run of as many weights in their lowest bits, the next
 * run above it, and so on; then the next bytes follow.
 */
export interface BitRuns {
  /** The number of weight `index`, its bytes being those of `block` from `start` on. */
  get(block: DataView, start: number, index: number): number;
  /** Adds the number of weight `index`, whose bits are 0 so far. */
  put(block: DataView, start: number, index: number, value: number): void;
  /**
   * Takes the numbers of `weights` weights into the order that shaders read (`shaders/formats/shared/quants.wgsl`): as
   * many bytes, in whole words.
   * @param source the byte in `from` at which they start
   * @param target the byte in `to` at which they go
   */
  repack(from: DataView, source: number, to: DataView, target: number, weights: number): void;
}

/**
 * Runs of `runBytes` weights, `bits` each. To be repacked, `runBytes` must be a multiple of 8 for 4 bits and of 16 for 2
 * bits, and 32 for 1 bit.
 */
export function bitRuns(runBytes: number, bits: 4 | 2 | 1): BitRuns {
  const runs = 8 / bits;
  const mask = (1 << bits) - 1;
  const byteOf = (index: number) =>
    Math.floor(index / (runs * runBytes)) * runBytes + (index % runBytes);
  const shiftOf = (index: number) => bits * (Math.floor(index / runBytes) % runs);
  const split = { 4: splitByNibbles, 2: splitByPairs, 1: splitBits }[bits];
  return {
    get: (block, start, index) => (block.getUint8(start + byteOf(index)) >> shiftOf(index)) & mask,
    put(block, start, index, value) {
      const at = start + byteOf(index);
      block.setUint8(at, block.getUint8(at) | (value << shiftOf(index)));
    },
    repack(from, source, to, target, weights) {
      const bytes = (weights * bits) / 8;
      for (let byte = 0; byte < bytes; byte += runBytes) {
        split(from, source + byte, to, target + byte, runBytes);
      }
    },
  };
}

function splitByNibbles(
  from: DataView,
  source: number,
  to: DataView,
  target: number,
  runBytes: number,
): void {
  for (let byte = 0; byte < runBytes; byte += 8) {
    const low = target + byte / 2;
    splitNibbles(from, source + byte, to, low, low + runBytes / 2);
  }
}

function splitByPairs(
  from: DataView,
  source: number,
  to: DataView,
  target: number,
  runBytes: number,
): void {
  for (let byte = 0; byte < runBytes; byte += 16) {
    splitPairs(from, source + byte, to, target + byte / 4, runBytes / 4);
  }
}
